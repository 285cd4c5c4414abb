import io
from pathlib import Path

import vgexp

QUICK = ("data=digits", "model.depth=2", "model.width=8", "steps=0")


def test_rm_asks_once_and_removes_only_what_is_confirmed(vgexp_command, monkeypatch):
    for name in ("one", "two"):
        vgexp.run(*QUICK, f"name={name}")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, _, said = vgexp_command("rm", "results/one", "results/two")
    assert code == 1 and "Remove results/one, results/two?" in said and "interrupted" not in said
    assert len(list(Path("results").iterdir())) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    code, out, _ = vgexp_command("rm", "results/one")
    assert (code, out.strip()) == (0, "removed results/one")
    assert vgexp_command("rm", "--yes", "results/two")[0] == 0 and not list(Path("results").iterdir())


def test_rm_removes_nothing_where_one_folder_is_refused(vgexp_command):
    vgexp.run(*QUICK, "name=one")
    code, out, said = vgexp_command("rm", "--yes", "results/one", "nowhere")
    assert (code, out) == (2, "") and said == "vgexp: nowhere: no results here (no plan.json and no runs/)\n"
    assert Path("results/one").is_dir()


def test_mv_says_where_the_results_are(vgexp_command):
    vgexp.run(*QUICK, "name=one")
    code, out, _ = vgexp_command("mv", "results/one", "results/two words")
    assert (code, out) == (0, "results in results/two words    next: vgexp status 'results/two words'\n")
    assert vgexp_command("status", "results/two words")[1].startswith("100 %: 1 done")
    code, _, said = vgexp_command("mv", "results/two words", "results")
    assert code == 2 and "TARGET: got 'results', accepts a folder below results/" in said


def test_compact_says_how_many_parts_there_were_and_refuses_in_one_line(vgexp_command):
    vgexp.run("data=digits", "model.depth=2", "model.width=8", "steps=1", "seed=0,1", "max_members=1", "name=here")
    code, out, _ = vgexp_command("compact", "results/here")
    assert (code, out) == (0, "results/here: 2 parts, now 1\n")
    code, out, said = vgexp_command("compact", "results/here", "nowhere")
    assert (code, out) == (2, "") and "nowhere: no results here" in said and said.count("\n") == 1


def test_rm_takes_a_folder_once_however_it_is_spelled(vgexp_command):
    for name in ("one", "two"):
        vgexp.run(*QUICK, f"name={name}")
    code, out, said = vgexp_command(
        "rm", "--yes", "results/one", "results/one/", "results/../results/one", "results/two"
    )
    assert (code, out, said) == (0, "removed results/one\nremoved results/two\n", "")


def test_rm_says_how_to_remove_where_nobody_answers(vgexp_command, monkeypatch):
    vgexp.run(*QUICK, "name=one")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, said = vgexp_command("rm", "results/one")
    assert code == 2 and said.endswith("stdin: got 'no answer', accepts y or n; --yes asks nothing\n")
    assert Path("results/one").is_dir()
