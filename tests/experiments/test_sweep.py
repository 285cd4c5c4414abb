import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgexp.config.errors import ConfigError
from vgexp.config.fields import FIELDS
from vgexp.experiments.compose import composer
from vgexp.experiments.sweep import composed, expand, first_run, folder_of, grids

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
    with composer() as compose:
        grid = composed(["model.depth=2,3", "seed=0,1", "steps=0"], compose)
        with pytest.raises(ConfigError, match=r"model.depth: got 0, accepts an integer of at least 1"):
            composed(["model.depth=2,0"], compose)
    assert [(run.model.depth, run.seed) for _, run in grid.runs] == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert [overrides for overrides, _ in grid.runs] == [[f"model.depth={depth}", "steps=0"] for depth in (2, 2, 3, 3)]


def test_the_first_run_says_where_results_lie():
    with composer() as compose:
        run = first_run(["experiment=chen2016", "scale=smoke", "seed=3,4"], compose)
    assert run.seed == 0  # a member's choice: the job's own default stands
    assert folder_of(run) == Path("results/chen2016/smoke")


def asked(*overrides, config_dir=None):
    with composer(config_dir) as compose:
        return [run for grid in grids(overrides, compose, config_dir).values() for _, run in grid.runs]


@pytest.mark.parametrize("beside", [["experiment=theory"], ["experiment=theory", "scale=smoke", "only=[norms]"]])
def test_a_group_that_is_typed_counts_beside_an_experiment_and_in_its_grids(beside):
    runs = asked(*beside, "data=mnist", "model=deep", "optim=adam")
    assert {(run.data.name, run.model.depth, run.model.width) for run in runs} == {("mnist", 50, 64)}
    assert {(run.optim.name, run.optim.lr) for run in runs} == {("adam", 0.001)}


@pytest.mark.parametrize("typed", [["data=shapeset"], ["data=mnist,shapeset"], ["data.name=mnist,shapeset"]])
def test_a_group_is_typed_against_a_grid_that_names_its_field(typed):
    """The grid `escape` names data.name, and a range of pixels besides, which stays."""
    runs = asked("experiment=glorot2010", "scale=small", "only=[escape]", *typed)
    assert {run.data.name for run in runs} == set(typed[0].partition("=")[2].split(","))
    assert {tuple(run.data.range) for run in runs} == {(0.0, 1.0)}


def test_a_group_of_ones_own_counts_too(tmp_path):
    (tmp_path / "optim").mkdir()
    (tmp_path / "optim/mine.yaml").write_text("# @package _global_\noptim: {name: momentum}\nsteps: 7\n")
    (tmp_path / "experiment").mkdir()
    grid = "scales: {tiny: {one: [steps=3, optim.name=adam, optim.lr=0.5]}}"
    (tmp_path / "experiment/mine.yaml").write_text(f"# @package _global_\nsteps: 5\nname: mine\n{grid}\n")
    [run] = asked("experiment=mine", "scale=tiny", "optim=mine", config_dir=tmp_path)
    assert (run.steps, run.optim.name, run.optim.lr) == (7, "momentum", 0.5)
