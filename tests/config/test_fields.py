from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgexp.config.fields import FIELDS, InitConfig, ModelConfig, OptimConfig, Run, flat, from_row, leaves, structure
from vgexp.results.writing import runs_frame

runs = st.builds(
    Run,
    seed=st.integers(0, 10**6),
    steps=st.integers(0, 10**6),
    model=st.builds(
        ModelConfig,
        depth=st.integers(1, 50),
        width=st.one_of(st.integers(1, 2000), st.lists(st.integers(1, 9), min_size=1)),
        activation=st.sampled_from(["tanh", "relu"]),
    ),
    init=st.builds(InitConfig, name=st.sampled_from(["he", "glorot"]), sigma_w=st.none() | st.floats(0.1, 10)),
    optim=st.builds(OptimConfig, lr=st.floats(1e-6, 1)),
    dtype=st.sampled_from(["float32", "float64"]),
    threads=st.none() | st.integers(1, 8),
)


@given(runs)
def test_a_row_of_the_table_is_the_run_again(run):
    row = runs_frame([run], "stack").iloc[0].to_dict()
    assert flat(from_row(row)) == flat(run)


def test_everything_is_known_of_every_field():
    assert list(FIELDS) == list(leaves(Run()))
    for key, known in FIELDS.items():
        assert known.meaning.endswith("."), key
        assert known.read_by in {"", *FIELDS}, key
        assert not (known.of_sweep and known.in_identity), key


def test_defaults_follow_their_own_rules():
    for key, value in leaves(Run()).items():
        rule = FIELDS[key].rule
        assert rule is None or rule.holds(value), key


def test_members_may_differ_in_their_numbers_and_their_law():
    members = {key for key, known in FIELDS.items() if known.member}
    init = {f"init.{name}" for name in ("name", "sigma_w", "sigma_b", "distribution", "scope")}
    assert members == {"seed", *init, *(f"optim.{name}" for name in ("lr", "momentum", "beta1", "beta2", "eps"))}
    assert set(structure(Run())) == set(flat(Run())) - members


def test_what_belongs_to_the_sweep_is_no_part_of_the_run():
    assert set(leaves(Run())) - set(flat(Run())) == {"logger", "rerun", "scales", "only", "members"}


@pytest.mark.parametrize("key", ["model.branch", "data.range", "init.sigma_w", "steps"])
def test_a_field_that_a_row_lacks_has_its_default(key):
    run = replace(Run(), seed=3, model=ModelConfig(depth=7))
    row = {name: value for name, value in runs_frame([run], "stack").iloc[0].to_dict().items() if name != key}
    assert flat(from_row(row | {"model.tomorrow": 1})) == flat(run) | {key: flat(Run())[key]}
