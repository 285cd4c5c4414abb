import re
import time

from samples import small

import vgexp
from vgexp.experiments import progress as module
from vgexp.experiments.progress import SweepProgress, told
from vgexp.results.parts import run_rows
from vgexp.results.writing import Store, runs_frame


def write(folder, run, status, **columns):
    Store(folder).write(f"stack{run.seed}", {}, runs_frame([run], "stack", status=status, message="", **columns))


def test_runs_done_of_all_and_time_left_by_what_this_sitting_computed(clock, tmp_path):
    runs = [small(seed=seed, steps=10) for seed in range(4)]
    write(tmp_path, runs[0], "done", step=10)
    write(tmp_path, small(seed=9), "done", step=10)  # of another sweep
    progress = SweepProgress(tmp_path, runs)
    assert progress.line() == "sweep: 1 of 4 runs done (25 %); 0 s so far"
    clock(30)
    assert progress.line() == "sweep: 1 of 4 runs done (25 %); 30 s so far"
    write(tmp_path, runs[1], "done", step=10)
    write(tmp_path, runs[2], "running", step=5)
    assert progress.line() == "sweep: 2 of 4 runs done (50 %); 30 s so far, about 30 s left"  # 1.5 of 3
    write(tmp_path, runs[2], "failed")
    assert progress.line() == "sweep: 2 of 4 runs done (50 %), 1 failed; 30 s so far, about 30 s left"
    write(tmp_path, runs[3], "done", step=10)
    assert progress.line() == "sweep: 3 of 4 runs done (75 %), 1 failed; 30 s so far"


def test_what_is_asked_for_again_is_neither_done_nor_failed_until_it_is_computed(clock, tmp_path):
    runs = [small(seed=seed, steps=9) for seed in range(3)]
    write(tmp_path, runs[0], "done", step=9, started=100.0)
    write(tmp_path, runs[1], "failed", started=100.0)
    rows = run_rows(tmp_path, {})
    Store(tmp_path).plan(runs, {}, "vgexp train", again={run: row["updated"] for run, row in rows.items()})
    write(tmp_path, runs[2], "failed", started=100.0)  # is tried again, though nobody asked for it anew
    progress = SweepProgress(tmp_path, runs)
    assert progress.line() == "sweep: 0 of 3 runs done (0 %); 0 s so far"
    clock(30)
    write(tmp_path, runs[0], "done", step=9, started=1e12)
    write(tmp_path, runs[2], "failed", started=1e12)
    assert progress.line() == "sweep: 1 of 3 runs done (33 %), 1 failed; 30 s so far, about 30 s left"


def test_lines_come_at_once_now_and_then_and_at_the_end(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(module, "LINE_SECONDS", 0.01)
    seen = []
    with told(tmp_path, [small()]):
        while len(seen) < 3:
            seen += capsys.readouterr().err.splitlines()
        write(tmp_path, small(), "done", step=1)
    last = capsys.readouterr().err.splitlines()[-1]
    assert all(re.fullmatch(r"sweep: 0 of 1 run done \(0 %\); \d+ s so far", line) for line in seen)
    assert last.startswith("sweep: 1 of 1 run done (100 %)")


def test_what_ends_is_told_when_it_ends_and_nothing_twice(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "LINE_SECONDS", 1e6)
    seen, runs = [], [small(seed=seed) for seed in range(3)]
    with told(tmp_path, runs):
        for ended, status in enumerate(("done", "failed", "done"), 1):
            write(tmp_path, runs[ended - 1], status, step=1)
            for _ in range(1000):
                seen += [line.partition(";")[0] for line in capsys.readouterr().err.splitlines()]
                if len(seen) > ended:
                    break
                time.sleep(0.01)
    assert seen == [
        "sweep: 0 of 3 runs done (0 %)",
        "sweep: 1 of 3 runs done (33 %)",
        "sweep: 1 of 3 runs done (33 %), 1 failed",
        "sweep: 2 of 3 runs done (66 %), 1 failed",
    ]


def test_a_sweep_tells_and_one_stack_alone_does_not(capsys):
    quick = ("data=digits", "model.width=4", "steps=1")
    vgexp.run(*quick, "model.depth=2,3")
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sweep: ")]
    assert said[0].startswith("sweep: 0 of 2 runs done (0 %)") and said[-1].startswith(
        "sweep: 2 of 2 runs done (100 %)"
    )
    vgexp.run(*quick, "seed=0,1")
    assert "sweep: " not in capsys.readouterr().err
