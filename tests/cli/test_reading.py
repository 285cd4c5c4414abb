"""What reads results folders: each command as it is typed."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import vgexp
from vgexp.cli import reading

SMALL = ("data=digits", "model.depth=3", "model.width=8", "steps=2")


def files(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_view_serves_the_page_until_it_is_interrupted():
    vgexp.run(*SMALL, "seed=0,1", "name=one")
    before = files("results")
    command = [sys.executable, "-m", "vgexp", "view", "results/one"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        address, rest = line.split(maxsplit=1)
        assert address.startswith("http://127.0.0.1:") and rest == "Ctrl-C ends it\n"
        with urllib.request.urlopen(address) as answer:
            page = answer.read().decode()
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert "results/one" in page and "2 done" in page
    assert process.returncode == 0 and said.strip() == ""
    assert files("results") == before


def test_the_page_of_a_papers_folder_has_its_claims(monkeypatch):
    seen = []
    vgexp.run(*SMALL, "name=glorot2010/smoke")
    vgexp.run(*SMALL, "seed=1", "name=other")
    monkeypatch.setattr("vgexp.papers.content", lambda *asked: seen.append(asked))
    monkeypatch.setattr("vgexp.pages.render", lambda folders, results, content: (folders, len(results.runs), content))
    paper, other = Path("results/glorot2010/smoke"), Path("results/other")
    assert reading.page([paper]) == ([paper], 1, None)
    [(name, folder, results)] = seen
    assert (name, folder, len(results.runs)) == ("glorot2010", paper, 1)
    assert reading.page([paper, other])[1:2] == (2,) and len(seen) == 1


def test_a_run_of_two_folders_is_on_their_page_once_in_each(monkeypatch):
    vgexp.run(*SMALL, "seed=0,1", "name=one")
    vgexp.run(*SMALL, "seed=1,2", "name=two")
    monkeypatch.setattr("vgexp.pages.render", lambda folders, results, content: results.runs)
    one, two = Path("results/one"), Path("results/two")
    runs = reading.page([one, two])
    assert runs.groupby("folder")["seed"].apply(sorted).to_dict() == {"one": [0, 1], "two": [1, 2]}
    assert len(runs["run"].unique()) == 4
    assert len(reading.page([one, Path("results/../results/one")])) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no results here"),
        (["results/one", "--port", "99999"], "--port: got 99999, accepts a port that is free"),
        (["results/one", "--port", "x"], "x"),
    ],
)
def test_view_refuses_in_one_line(arguments, message, vgexp_command):
    vgexp.run(*SMALL, "name=one")
    code, out, said = vgexp_command("view", *arguments)
    assert (code, out) == (2, "") and message in said and said.count("\n") == 1


def test_status_counts_first_and_has_rows_for_what_failed_or_for_all(vgexp_command):
    from vgexp.config import Run
    from vgexp.networks.identity import identity
    from vgexp.results.writing import Store

    vgexp.run(*SMALL, "seed=0,1", "name=one")
    code, out, _ = vgexp_command("status", "results/one")
    assert (code, out) == (0, "100 %: 2 done, 0 running, 0 failed, 0 missing\n")
    Store(Path("results/one")).plan([Run(seed=5), Run(seed=6)], {}, "vgexp train -m seed=5,6")
    Store(Path("results/one")).fail([Run(seed=6)], "ValueError: [broken]")
    before = files("results")
    _, out, _ = vgexp_command("status", "results/one")
    first, *rows, last = out.splitlines()
    assert first == "50 %: 2 done, 0 running, 1 failed, 1 missing"
    assert last == "to go on: vgexp train -m seed=5,6"
    assert any("seed=6" in row for row in rows) and "ValueError: [broken]" in out
    assert identity(Run(seed=5)) not in out and identity(Run(seed=6)) in out
    _, out, _ = vgexp_command("status", "results/one", "--all")
    assert identity(Run(seed=5)) in out and out.count(" done ") == 2
    assert files("results") == before
