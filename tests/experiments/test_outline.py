from pathlib import Path

import vgexp
from vgexp.costs import si
from vgexp.costs.forecast import flops
from vgexp.costs.memory import need
from vgexp.data import dataset
from vgexp.experiments.compose import composer
from vgexp.experiments.outline import outline
from vgexp.experiments.plan import plan
from vgexp.experiments.sweep import grids

QUICK = ["data=digits", "model.width=8", "steps=3", "name=here"]


def planned(*overrides):
    with composer() as compose:
        return plan(grids([*QUICK, *overrides], compose))


def test_a_line_for_each_stack_and_what_is_done():
    vgexp.run(*QUICK, "model.depth=2", "seed=0,1")
    todo = planned("model.depth=2,3", "seed=range(0,3)")
    before = sorted(Path("results").rglob("*"))
    first, *rows = outline(todo).splitlines()
    assert first == "results/here: 6 runs, 2 already done, 2 stacks"
    assert len(rows) == 2 and "2 x 8" in rows[0] and "1 member " in rows[0] and "3 members" in rows[1]
    run, data = todo.jobs[1].runs[0], dataset(todo.jobs[1].runs[0].data)
    assert f"at least {si(need(run, data).of(3), 'B')}" in rows[1]
    assert rows[1].endswith(si(3 * 3 * sum(flops(run, data.inputs, data.classes)), "FLOP"))
    assert sorted(Path("results").rglob("*")) == before


def test_nothing_left_is_one_line():
    vgexp.run(*QUICK, "model.depth=2")
    assert outline(planned("model.depth=2")) == "results/here: 1 run, 1 already done, 0 stacks"
