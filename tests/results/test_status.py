import pandas as pd
from samples import small

from vgexp.networks.identity import identity
from vgexp.results.reading import read
from vgexp.results.status import STATUSES, statuses
from vgexp.results.writing import Store, runs_frame, stack_id


def test_every_planned_run_has_a_status_and_a_note(tmp_path):
    store, runs = Store(tmp_path), [small(seed=seed) for seed in range(4)]
    store.plan(runs, {}, "vgexp train")
    for run, status, columns in ((runs[0], "done", {"step": 11}), (runs[1], "running", {"step": 3})):
        stack = stack_id([run])
        store.write(stack, {}, runs_frame([run], stack, status=status, message="", **columns))
    store.fail([runs[2]], "ValueError: broken")
    found = statuses(read(tmp_path))
    expected = [(runs[0], "done", 11), (runs[1], "running", 3), (runs[2], "failed", ""), (runs[3], "missing", "")]
    assert list(found[["run", "status", "step"]].itertuples(index=False, name=None)) == [
        (identity(run), status, step) for run, status, step in expected
    ]
    assert sorted(found["status"]) == sorted(STATUSES)
    notes = found["note"].tolist()
    assert notes[2] == "ValueError: broken"
    assert "seed=3" in notes[3] and "model.depth=3" in notes[3]


def test_runs_that_nobody_planned_are_shown_too(tmp_path):
    run = small()
    stack = stack_id([run])
    Store(tmp_path).write(stack, {}, runs_frame([run], stack, status="done", message="", step=11))
    assert statuses(read(tmp_path))["status"].tolist() == ["done"]


def test_a_plan_of_nothing(tmp_path):
    Store(tmp_path).plan([], {}, "vgexp train")
    pd.testing.assert_frame_equal(statuses(read(tmp_path)), pd.DataFrame(columns=["run", "status", "step", "note"]))
