import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import small

from vgexp.config.errors import ConfigError
from vgexp.config.fields import FIELDS
from vgexp.config.rows import structure
from vgexp.experiments.compose import composer, typed
from vgexp.experiments.sweep import Job, expand, jobs, runs_of
from vgexp.networks.identity import identity

NUMBERS = st.integers(0, 99).map(str)
CHOICES = {
    "model.depth": NUMBERS,
    "steps": NUMBERS,
    "model.activation": st.sampled_from(["tanh", "relu", "sigmoid", "identity"]),
    "model.width": st.sampled_from(["8", "[8,9]", "[9,8,7]"]),
    "seed": NUMBERS,
    "optim.lr": st.sampled_from(["0.1", "1e-05", "3"]),
    "init.sigma_w": st.sampled_from(["null", "1.5"]),
    "init.name": st.sampled_from(["he", "glorot"]),
}
GRIDS = st.lists(
    st.sampled_from(list(CHOICES)).flatmap(
        lambda key: st.tuples(st.just(key), st.lists(CHOICES[key], min_size=1, max_size=3, unique=True))
    ),
    unique_by=lambda pair: pair[0],
    max_size=5,
)
RUNS = st.lists(
    st.builds(lambda depth, seed, lr: small(model__depth=depth, seed=seed, optim__lr=lr), *[st.integers(1, 3)] * 3),
    max_size=12,
)


@given(GRIDS)
def test_expand_covers_the_product_in_order_and_never_repeats(grid):
    sweep = expand([f"{key}={','.join(values)}" for key, values in grid])
    for part, fields in (
        (sweep.jobs, [pair for pair in grid if not FIELDS[pair[0]].member]),
        (sweep.members, [pair for pair in grid if FIELDS[pair[0]].member]),
    ):
        # A row is one choice a field, in the order of the fields: its places among the choices.
        places = [
            tuple(values.index(text.removeprefix(f"{key}=")) for text, (key, values) in zip(row, fields, strict=True))
            for row in part
        ]
        assert len(places) == math.prod(len(values) for _, values in fields)
        assert places == sorted(set(places))


def test_ranges_are_choices_and_intervals_are_none():
    assert expand(["seed=range(0,6,2)"]).members == [["seed=0"], ["seed=2"], ["seed=4"]]
    with pytest.raises(ConfigError, match=r"optim.lr.*a list of choices"):
        expand(["optim.lr=interval(0,1)"])


def test_every_run_is_checked_with_the_overrides_of_its_job():
    seen = []
    with composer() as compose:
        runs = runs_of(["model.depth=2,3", "seed=0,1", "steps=0"], compose, seen.append)
    assert [run for _, run in runs] == seen
    assert [(run.model.depth, run.seed) for run in seen] == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert [overrides for overrides, _ in runs] == [[f"model.depth={depth}", "steps=0"] for depth in (2, 2, 3, 3)]


@given(RUNS, st.integers(1, 4), st.sets(st.integers(1, 3)))
def test_stacks_hold_every_run_that_is_left_once_and_in_order(runs, size, skipped):
    planned = [([f"model.depth={run.model.depth}"], run) for run in runs]
    found = jobs(planned, lambda _: size, lambda run: run.seed in skipped)
    assert all(1 <= len(stack.runs) <= size for stack in found)
    for stack in found:
        assert all(structure(run) == structure(stack.runs[0]) for run in stack.runs)
        assert stack.overrides == [f"model.depth={stack.runs[0].model.depth}"]
    for depth in (1, 2, 3):
        left = dict.fromkeys(identity(run) for run in runs if run.model.depth == depth and run.seed not in skipped)
        assert [identity(run) for stack in found for run in stack.runs if run.model.depth == depth] == list(left)
    # What is done already moves no run to another stack.
    whole = jobs(planned, lambda _: size, lambda _: False)
    left = [[run for run in stack.runs if run.seed not in skipped] for stack in whole]
    assert [stack.runs for stack in found] == [kept for kept in left if kept]


def test_what_was_begun_goes_on_as_it_was_cut():
    """A sweep that grew from seeds 1, 0 to five, in stacks of at most three."""
    runs = [small(seed=seed) for seed in range(5)]
    begun = [[identity(runs[1]), identity(runs[0])], ["another run"], [identity(run) for run in runs[1:]]]
    found = jobs([([], run) for run in runs], lambda _: 3, lambda run: run.seed == 4, begun)
    assert [[run.seed for run in stack.runs] for stack in found] == [[1, 0], [2], [3]]


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e300),
            st.none() | st.floats(1e-300, 1e300),
            st.integers(0, 10**12),
            st.sampled_from([None, "uniform"]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_a_job_spells_its_members_so_that_they_come_back(numbers):
    base = small()
    runs = [
        replace(
            base,
            seed=seed,
            optim=replace(base.optim, lr=lr),
            init=replace(base.init, sigma_w=sigma_w, distribution=distribution),
        )
        for lr, sigma_w, seed, distribution in numbers
    ]
    job = Job(["steps=10"], runs).spelled()
    with composer() as compose:
        config = compose(job)
    for run, member in zip(runs, config.members, strict=True):
        back = typed(config, list(member))
        assert (back.seed, back.optim, back.init) == (run.seed, run.optim, run.init)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optim.momentum=0.5,0.9"], "optim.momentum: got '0.5,0.9', accepts one value: .* with optim.name=sgd$"),
        (
            ["model.branch=0.1,1", "model.family=plain", "model.activation=tanh,relu"],
            "model.branch: got '0.1,1', accepts one value: .* with model.family=plain$",
        ),
    ],
)
def test_choices_that_make_no_difference(overrides, message):
    with composer() as compose, pytest.raises(ConfigError, match=message):
        runs_of(overrides, compose, lambda run: None)


def test_choices_that_some_runs_read_make_fewer_runs():
    with composer() as compose:
        runs = runs_of(["optim.momentum=0.5,0.9", "optim.name=sgd,momentum"], compose, lambda run: None)
    assert len(runs) == 4
    assert [len(job.runs) for job in jobs(runs, lambda run: 9, lambda run: False)] == [1, 2]
