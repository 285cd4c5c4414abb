from pathlib import Path

import pytest

from vgexp import papers
from vgexp.cli.papers import completed_paper, completed_scale, subjects
from vgexp.experiments.scales import scales


def test_subjects_are_those_of_every_package_of_a_paper(monkeypatch):
    monkeypatch.setattr(papers, "_outside", dict)
    found = subjects()
    assert list(found) == papers.names()
    assert all(found[name] == papers.module(name).__doc__.split("\n")[0] for name in found)


def test_papers_are_listed_with_the_scales_of_their_files(vgexp_command):
    code, out, _ = vgexp_command("papers")
    assert code == 0
    for name in subjects():
        [line] = [line for line in out.splitlines() if line.startswith(name)]
        assert ", ".join(scales()[name]) in line
    assert "chaos" not in out  # an experiment, of no paper
    *command, name, _, scale = out.splitlines()[-1].split()
    assert command == ["next:", "vgexp", "reproduce"] and scale in scales()[name]


MINE = """
CITATION, INTRO, CLAIMS, FIGURES = "Hochreiter (1991), Untersuchungen", "", (), {}
"""


def test_papers_from_outside_are_listed_too(vgexp_command, tmp_path, monkeypatch):
    (tmp_path / "hochreiter1991.py").write_text(MINE)
    (tmp_path / "hochreiter1992.py").write_text(MINE)
    (tmp_path / "conf/experiment").mkdir(parents=True)
    (tmp_path / "conf/experiment/hochreiter1991.yaml").write_text("scales: {tiny: {}}")
    mine = ["--import", "hochreiter1991", "--import", "hochreiter1992"]
    code, out, _ = vgexp_command("papers", *mine, "--config-dir", "conf")
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}
    assert code == 0
    assert lines["hochreiter1991"].split() == ["tiny", "Hochreiter", "(1991),", "Untersuchungen"]
    assert lines["hochreiter1992"].startswith("no experiment file")


def test_the_help_of_reproduce_lists_them(vgexp_command):
    code, out, _ = vgexp_command("reproduce", "--help")
    assert code == 0
    assert all(f"{name}: {', '.join(scales()[name])}" in out for name in subjects())


@pytest.mark.parametrize("name", ["griewank2000", "all"])
def test_a_scale_that_a_paper_lacks_is_refused_before_anything_runs(name, vgexp_command):
    code, _, said = vgexp_command("reproduce", name, "--scale", "paper")
    with_name = "baydin2018" if name == "all" else name
    assert (code, said) == (2, f"vgexp: scale: got 'paper', accepts smoke, small with {with_name}\n")
    assert not list(Path().iterdir())


def test_a_grid_that_a_paper_lacks_is_refused_before_another_one_runs(vgexp_command):
    code, _, said = vgexp_command("reproduce", "all", "--only", "flops")
    assert (code, said) == (
        2,
        "vgexp: only: got 'flops', accepts store, segments, revolve, fewer_snapshots, invert with chen2016\n",
    )
    assert not list(Path().iterdir())


def test_what_a_shell_completes():
    assert completed_paper("g") == ["glorot2010", "gomez2017", "griewank2000"]
    assert completed_paper("al") == ["all"]
    assert completed_scale("sm") == ["smoke", "small"]
