from dataclasses import replace
from math import nan

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgexp.config.fields import FIELDS, DataConfig, InitConfig, ModelConfig, OptimConfig, ProbeConfig, Run
from vgexp.config.rows import flat, from_row, leaves, structure
from vgexp.results.writing import runs_frame

runs = st.builds(
    Run,
    name=st.sampled_from(["train", "[draft]", "a/b"]),
    seed=st.integers(0, 10**6),
    steps=st.integers(0, 10**6),
    data=st.builds(DataConfig, range=st.sampled_from([[0.0, 1.0], [-1.0, 1.0]])),
    model=st.builds(
        ModelConfig,
        depth=st.integers(1, 50),
        width=st.one_of(st.integers(1, 2000), st.lists(st.integers(1, 9), min_size=1)),
        activation=st.sampled_from(["tanh", "relu", "gone"]),
    ),
    init=st.builds(InitConfig, name=st.sampled_from(["he", "glorot"]), sigma_w=st.none() | st.floats(0.1, 10)),
    optim=st.builds(
        OptimConfig, lr=st.floats(1e-6, 1), clip=st.none() | st.floats(1e-3, 1e3), warmup=st.integers(0, 10**6)
    ),
    probe=st.builds(ProbeConfig, every=st.one_of(st.just("log"), st.integers(1, 50), st.lists(st.integers(0, 9)))),
    dtype=st.sampled_from(["float32", "float64"]),
    threads=st.none() | st.integers(1, 8),
)


@given(runs)
def test_a_row_of_the_table_is_the_run_again(run):
    row = runs_frame([run], "stack").iloc[0].to_dict()
    assert from_row(row) == run


@given(runs, runs)
def test_so_is_one_among_others(one, other):
    """Columns of tables that are put together take the type that all values fit in: floats for integers and gaps."""
    together = pd.concat([runs_frame([run], "stack") for run in (one, other)], ignore_index=True)
    assert [from_row(row) for row in together.to_dict("records")] == [one, other]


@pytest.mark.parametrize("key", ["model.branch", "data.range", "init.sigma_w", "steps"])
def test_a_field_that_a_row_lacks_has_its_default(key):
    run = replace(Run(), seed=3, model=ModelConfig(depth=7))
    row = runs_frame([run], "stack").iloc[0].to_dict()
    lacking = {name: value for name, value in row.items() if name != key}
    assert flat(from_row(lacking | {"model.tomorrow": 1})) == flat(run) | {key: flat(Run())[key]}
    assert from_row(row | {key: nan}) == from_row(lacking)


def test_structure_is_what_members_share():
    members = {key for key, known in FIELDS.items() if known.member}
    apart = {key for key, known in FIELDS.items() if known.none_apart}
    assert apart == {"optim.clip"} and apart <= members
    assert set(structure(Run())) == set(flat(Run())) - members | apart


def test_runs_that_clip_and_runs_that_do_not_are_of_two_structures():
    free, one, other = (structure(Run(optim=OptimConfig(clip=clip))) for clip in (None, 1.0, 2.0))
    assert one == other != free


def test_what_belongs_to_the_sweep_is_no_part_of_the_run():
    assert set(leaves(Run())) - set(flat(Run())) == {"jobs", "logger", "rerun", "scales", "only", "members"}


def test_numbers_that_no_integer_stands_for_stay_as_they_are():
    for value in (1e38, 1e300):
        branch = from_row({"model.branch": value}).model.branch
        assert branch == value and isinstance(branch, float)
