import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import small

from vgexp.config.errors import ConfigError
from vgexp.config.rows import structure
from vgexp.experiments.compose import composer
from vgexp.experiments.stacks import require_read, stacked, without_effect
from vgexp.experiments.sweep import composed
from vgexp.networks.identity import identity

RUNS = st.lists(
    st.builds(lambda depth, seed, lr: small(model__depth=depth, seed=seed, optim__lr=lr), *[st.integers(1, 3)] * 3),
    max_size=12,
)


@given(RUNS, st.integers(1, 4), st.sets(st.integers(1, 3)))
def test_stacks_hold_every_run_that_is_left_once_and_in_order(runs, size, skipped):
    planned = [([f"model.depth={run.model.depth}"], run) for run in runs]
    found = stacked(planned, lambda _: size, lambda run: run.seed in skipped)
    assert all(1 <= len(stack.runs) <= size for stack in found)
    for stack in found:
        assert all(structure(run) == structure(stack.runs[0]) for run in stack.runs)
        assert stack.overrides == [f"model.depth={stack.runs[0].model.depth}"]
    for depth in (1, 2, 3):
        left = dict.fromkeys(identity(run) for run in runs if run.model.depth == depth and run.seed not in skipped)
        assert [identity(run) for stack in found for run in stack.runs if run.model.depth == depth] == list(left)
    # What is done already moves no run to another stack.
    whole = stacked(planned, lambda _: size, lambda _: False)
    left = [[run for run in stack.runs if run.seed not in skipped] for stack in whole]
    assert [stack.runs for stack in found] == [kept for kept in left if kept]


def test_what_was_begun_goes_on_as_it_was_cut():
    """A sweep that grew from seeds 1, 0 to five, in stacks of at most three."""
    runs = [small(seed=seed) for seed in range(5)]
    begun = [[identity(runs[1]), identity(runs[0])], ["another run"], [identity(run) for run in runs[1:]]]
    found = stacked([([], run) for run in runs], lambda _: 3, lambda run: run.seed == 4, begun)
    assert [[run.seed for run in stack.runs] for stack in found] == [[1, 0], [2], [3]]


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_stack_that_is_halved_the_whole_goes_on_before_its_halves(order):
    """Whoever died between two halves had given the second one nothing yet."""
    runs = [small(seed=seed) for seed in range(4)]
    whole, first = [identity(run) for run in runs], [identity(run) for run in runs[:2]]
    found = stacked([([], run) for run in runs], lambda _: 4, lambda run: False, [whole, first][::order])
    assert [[run.seed for run in stack.runs] for stack in found] == [[0, 1, 2, 3]]


def test_runs_that_clip_train_apart_from_those_that_do_not():
    """They hold every gradient at once, and update when all are there."""
    with composer() as compose:
        grid = composed(["optim.clip=null,1,2", "optim.warmup=0,3", "optim.weight_decay=0,0.1"], compose)
    found = stacked(grid.runs, lambda run: 9, lambda run: False)
    assert [[run.optim.clip for run in job.runs] for job in found] == [[None] * 4, [1.0] * 4 + [2.0] * 4]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optim.momentum=0.5,0.9"], "optim.momentum: got '0.5,0.9', accepts one value: .* with optim.name=sgd$"),
        (
            ["optim.schedule=constant,cosine", "steps=5", "optim.warmup=9"],
            "optim.schedule: got 'constant,cosine', accepts one value: .* with steps=5, optim.warmup=9$",
        ),
        (
            ["model.branch=0.1,1", "model.family=plain", "model.activation=tanh,relu"],
            "model.branch: got '0.1,1', accepts one value: .* with model.family=plain$",
        ),
    ],
)
def test_choices_that_make_no_difference(overrides, message):
    with composer() as compose, pytest.raises(ConfigError, match=message):
        without_effect(composed(overrides, compose))


def test_choices_that_some_runs_read_make_fewer_runs():
    with composer() as compose:
        grid = composed(["optim.momentum=0.5,0.9", "optim.name=sgd,momentum", "seed=0"], compose)
    assert without_effect(grid) == ["2 choices of optim.momentum make one run where optim.name=sgd"]
    assert len(grid.runs) == 4
    assert [len(job.runs) for job in stacked(grid.runs, lambda run: 9, lambda run: False)] == [1, 2]


@pytest.mark.parametrize(
    ("overrides", "others"),
    [
        (["model.gate_bias=-2"], []),  # the default
        (["model.gate_bias=1"], ["model.family=plain,highway"]),  # one of the runs reads it
        (["checkpoint.every=4"], ["memory=checkpoint", "model.depth=16"]),  # read, though it is what sqrt would be
        (["init.sigma_w=1", "seed=3"], []),  # nobody decides about these
    ],
)
def test_what_may_be_typed(overrides, others):
    with composer() as compose:
        runs = [run for _, run in composed([*others, *overrides], compose).runs]
    require_read(overrides, runs)


def test_what_is_typed_is_read_by_some_run():
    with composer() as compose:
        runs = [run for _, run in composed(["model.family=plain,highway", "model.growth=3"], compose).runs]
    with pytest.raises(ConfigError, match=r"^model.growth: got 3, accepts 16 with model.family=plain; .*=dense$"):
        require_read(["model.growth=3"], runs)
    require_read(["model.growth=3"], runs, read=["model.growth"])
    require_read([], runs)  # an experiment file may set fields for some of its grids


@pytest.mark.parametrize(
    "choices",
    ["threads=1,2", "device=cpu,auto", "rerun=true,false", "max_members=1,2", "logger=none,tensorboard", "jobs=1,2"],
)
def test_choices_that_make_no_other_runs_are_refused(choices):
    """They would be the same run, computed once."""
    key, _, values = choices.partition("=")
    with composer() as compose, pytest.raises(ConfigError, match=f"^{key}: got '{values}', accepts one value: others"):
        without_effect(composed([choices, "model.depth=2,3"], compose))
