import re
from pathlib import Path

import pytest

import vgexp
from vgexp.costs import si
from vgexp.costs.forecast import flops
from vgexp.costs.memory import need
from vgexp.data import dataset
from vgexp.experiments import outline as module
from vgexp.experiments.compose import composer
from vgexp.experiments.outline import outline
from vgexp.experiments.plan import plan
from vgexp.experiments.sweep import grids
from vgexp.training.trial import Trial

QUICK = ["data=digits", "model.width=8", "name=here"]


def planned(*overrides):
    with composer() as compose:
        return plan(grids([*QUICK, *overrides], compose))


@pytest.fixture
def tried(clock, monkeypatch):
    """A step takes a second a member, 0.9 to 1.1; a trial takes four seconds. Returns what was tried."""
    found = []

    def trial(runs):
        clock(4)
        found.append(len(runs))
        return Trial(1.0, 0.9, 1.1).times(len(runs))

    monkeypatch.setattr(module, "step_trial", trial)
    return found


def test_a_line_for_each_stack_and_what_is_done(tried):
    vgexp.run(*QUICK, "steps=3", "model.depth=2", "seed=0,1")
    todo = planned("steps=3", "model.depth=2,3", "seed=range(0,3)")
    before = sorted(Path("results").rglob("*"))
    first, *rows, last = outline(todo).splitlines()
    assert first == "results/here: 6 runs, 2 already done, 2 stacks"
    assert len(rows) == 2 and "2 x 8" in rows[0] and "1 member " in rows[0] and "3 members" in rows[1]
    run, data = todo.jobs[1].runs[0], dataset(todo.jobs[1].runs[0].data)
    assert f"at least {si(need(run, data).of(3), 'B')}" in rows[1]
    updates = si(3 * 3 * sum(flops(run, data.inputs, data.classes)), "FLOP")
    assert re.search(rf"  {updates} +about 9 s \(8 s to 10 s\)$", rows[1])
    assert last.startswith("  about 12 s (11 s to 13 s) of updates, one stack after the other") and tried == [1, 3]
    assert sorted(Path("results").rglob("*")) == before


def test_of_many_stacks_the_first_are_tried_and_the_others_follow_their_flops(tried):
    todo = planned("steps=100", "model.depth=2,2,3,4,5,6")
    *_, fifth, last = outline(todo).splitlines()
    assert tried == [1, 1, 1] and "of the first 3, tried here, and by the FLOPs of the others" in last
    updates = [module._flops(job, 100) for job in todo.jobs]
    rates = [100 / n for n in updates[:3]]
    expected = Trial(sorted(rates)[1], 0.9 * min(rates), 1.1 * max(rates)).times(updates[4])
    assert fifth.endswith(module._about(expected))


def test_a_stack_that_was_interrupted_takes_what_is_left_of_it(tried, monkeypatch):
    todo = planned("steps=100", "model.depth=2", "seed=0,1")
    reached = {
        run: {"status": "running", "step": 60 + 5 * n, "stack": "its"} for n, run in enumerate(todo.jobs[0].ids())
    }
    monkeypatch.setattr(module, "judged_rows", lambda folder, damaged, check: reached)
    assert "60 done" not in outline(todo)  # its state is gone
    Path("results/here/state").mkdir(parents=True)
    Path("results/here/state/its.pt").touch()
    row = outline(todo).splitlines()[1]
    assert "100 steps, 60 done" in row and row.endswith("about 1 min 20 s (1 min 12 s to 1 min 28 s)")
    assert si(module._flops(todo.jobs[0], 40), "FLOP") in row
    todo.again = dict.fromkeys(todo.jobs[0].ids())
    assert "60 done" not in outline(todo)


def test_stacks_that_are_computed_side_by_side(tried):
    """Three of 3, 2 and 1 members on two workers, as they are free: 3 s, and 2 s + 1 s."""
    todo = planned("steps=1", "model.depth=2,3,4", "seed=range(0,3)")
    todo.jobs = [job.only(job.ids()[: 3 - n]) for n, job in enumerate(todo.jobs)]
    for job in todo.jobs:
        job.runs[0].jobs = 2
    last = outline(todo).splitlines()[-1]
    assert "about 6 s (5 s to 7 s) of updates, one stack after the other, about 3 s with 2 at a time," in last
    assert module.side_by_side([Trial(3, 3, 3), Trial(2, 2, 2), Trial(2, 1, 2)], 2) == Trial(4, 3, 4)


def test_a_step_is_tried_in_earnest_and_networks_at_initialisation_take_no_updates():
    assert "about 0 s of updates" in outline(planned("steps=0", "model.depth=2"))
    assert "  about " in outline(planned("steps=3", "model.depth=2")).splitlines()[-1]


def test_nothing_left_is_one_line():
    vgexp.run(*QUICK, "steps=3", "model.depth=2")
    assert outline(planned("steps=3", "model.depth=2")) == "results/here: 1 run, 1 already done, 0 stacks"
