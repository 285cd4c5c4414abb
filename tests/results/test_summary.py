import math
from pathlib import Path

from samples import small

import vgexp
from vgexp.networks.identity import identity
from vgexp.results.summary import summary
from vgexp.results.writing import Store, runs_frame


def write(folder, run, **columns):
    frame = runs_frame([run], "stack", message="", **({"status": "done", "diverged_at": math.nan} | columns))
    Store(folder).write(f"stack{run.seed}", {}, frame)


def test_what_became_of_the_runs_and_the_best_of_them(tmp_path):
    runs = [small(seed=seed, steps=5) for seed in range(6)]
    Store(tmp_path).plan(runs, {}, "vgexp train")
    for run, error in zip(runs[:4], (0.5, 0.25, 0.125, math.nan), strict=True):
        write(tmp_path, run, final_valid_error=error, final_train_error=0.0)
    write(tmp_path, runs[3], diverged_at=2.0, final_valid_error=math.nan)
    Store(tmp_path).fail([runs[4]], "ValueError: broken")
    write(tmp_path, small(seed=7, steps=5), final_valid_error=0.0)  # planned by nobody
    assert summary(tmp_path) == [
        "4 of 6 runs done, 1 diverged, 1 failed",
        "best validation error 0.125: seed=2",
        "best validation error 0.25: seed=1",
    ]


def test_errors_on_different_data_are_not_compared(tmp_path):
    runs = [small(seed=seed, steps=5, data__name=name) for name in ("digits", "shapeset") for seed in range(2)]
    Store(tmp_path).plan(runs, {}, "vgexp train")
    for number, (run, error) in enumerate(zip(runs, (0.25, 0.125, 0.75, 0.5), strict=True)):
        frame = runs_frame([run], "stack", message="", status="done", diverged_at=math.nan, final_valid_error=error)
        Store(tmp_path).write(f"stack{number}", {}, frame)
    best = [line.partition(": ") for line in summary(tmp_path)[1:]]
    assert [(error, set(words.split())) for error, _, words in best] == [
        ("best validation error 0.125", {"seed=1", "data.name=digits"}),
        ("best validation error 0.5", {"seed=1", "data.name=shapeset"}),
    ]


def test_training_errors_where_nothing_was_validated_and_none_at_initialisation(tmp_path):
    run = small(seed=1, steps=5)
    Store(tmp_path / "a").plan([run], {}, "vgexp train")
    write(tmp_path / "a", run, final_train_error=0.5)
    assert summary(tmp_path / "a") == ["1 of 1 run done, 0 diverged", f"best training error 0.5: {identity(run)}"]
    start = small(seed=1, steps=0)
    Store(tmp_path / "b").plan([start], {}, "vgexp train")
    write(tmp_path / "b", start, final_train_error=0.5)
    assert summary(tmp_path / "b") == ["1 of 1 run done, 0 diverged"]


def test_the_numbers_are_those_of_the_table():
    results = vgexp.run("data=digits", "model.width=8", "model.depth=2", "steps=3", "seed=0,1", "name=here")
    counts, best, _ = summary(Path("results/here"))
    lowest = results.runs.sort_values("final_valid_error").iloc[0]
    assert counts == "2 of 2 runs done, 0 diverged"
    assert best.startswith(f"best validation error {lowest['final_valid_error']:.3g}: ")


def test_a_run_is_named_by_what_differs_also_where_that_is_a_default(tmp_path):
    runs = [small(steps=5), small(steps=5, init__name="he", seed=1, probe__every=2)]
    Store(tmp_path).plan(runs, {}, "vgexp train")
    write(tmp_path, runs[0], final_valid_error=0.25)
    write(tmp_path, runs[1], final_valid_error=0.5)
    best = [line.partition(": ") for line in summary(tmp_path)[1:]]
    assert [(error, set(words.split())) for error, _, words in best] == [
        ("best validation error 0.25", {"seed=0", "init.name=glorot"}),
        ("best validation error 0.5", {"seed=1", "init.name=he"}),
    ]


def test_a_damaged_part_is_left_out(tmp_path):
    Store(tmp_path).plan([small()], {}, "vgexp train")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/part-x.parquet").write_bytes(b"no")
    assert summary(tmp_path) == ["0 of 1 run done, 0 diverged"]
