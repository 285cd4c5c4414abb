"""The identity of a run, and that of everything that was committed."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgexp.config.fields import (
    FIELDS,
    CheckpointConfig,
    InitConfig,
    ModelConfig,
    OptimConfig,
    ProbeConfig,
    Run,
)
from vgexp.config.rows import flat, from_row
from vgexp.networks.activations import ACTIVATIONS
from vgexp.networks.families import FAMILIES
from vgexp.networks.identity import REGISTRIES, changes, identity, unread
from vgexp.networks.initializers import INITIALIZERS
from vgexp.networks.losses import LOSSES
from vgexp.networks.optimizers import OPTIMIZERS, Sgd
from vgexp.numerics.quantities import QUANTITIES
from vgexp.results.reading import stored

LEAKY = ModelConfig(activation="leaky_relu")
COMMITTED = sorted(Path(__file__).parents[2].glob("results/*/small"))
runs = st.builds(
    Run,
    seed=st.integers(0, 10**6),
    steps=st.integers(0, 10**4),
    model=st.builds(
        ModelConfig,
        family=st.sampled_from(sorted(FAMILIES)),
        depth=st.integers(1, 50),
        width=st.one_of(st.integers(1, 2000), st.lists(st.integers(1, 9), min_size=1)),
        activation=st.sampled_from(sorted(ACTIVATIONS)),
        branch=st.floats(0.1, 1),
        negative_slope=st.floats(0.1, 1),
    ),
    init=st.builds(InitConfig, name=st.sampled_from(sorted(INITIALIZERS)), sigma_w=st.none() | st.floats(0.1, 10)),
    optim=st.builds(
        OptimConfig, name=st.sampled_from(sorted(OPTIMIZERS)), lr=st.floats(1e-6, 1), momentum=st.floats(0, 0.9)
    ),
    probe=st.builds(ProbeConfig, tier=st.sampled_from(["light", "full"]), histograms=st.sampled_from(["end", "start"])),
    dtype=st.sampled_from(["float32", "float64"]),
    threads=st.none() | st.integers(1, 8),
)


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.parent.name)
def test_committed_runs_keep_their_ids(folder):
    """A change here orphans them: everything would be computed again."""
    rows = [row for path in (folder / "runs").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert rows and all(identity(from_row(row)) == row["run"] for row in rows)
    assert {row["run"] for row in rows} <= set(json.loads((folder / "plan.json").read_text())["runs"])


def test_identity_is_stable():
    """Pinned: a change here orphans everybody's results; raise RESULTS_VERSION on purpose instead."""
    assert changes(Run()) == {}
    assert identity(Run()) == "ede0de807492"
    assert identity(Run(seed=3, model=ModelConfig(depth=7))) == "466344d6129d"


@given(runs, runs)
def test_identity_is_that_of_the_changes(a, b):
    assert (identity(a) == identity(b)) == (changes(a) == changes(b))
    assert len(identity(a)) == 12


@given(runs)
def test_changes_survive_json_and_tables(run):
    assert json.loads(json.dumps(changes(run))) == changes(run)
    assert identity(from_row(stored(flat(run)))) == identity(run)


@given(runs, st.sampled_from(sorted(key for key, known in FIELDS.items() if known.read_by or known.member)))
def test_a_field_that_is_not_read_does_not_matter_and_one_that_is_does(run, key):
    """Another value for one field: a new id if, and only if, something reads it."""
    value = {"probe.histograms": [7], "probe.spectra": [7], "checkpoint.every": 7, "init.name": "lecun"}.get(key, 0.375)
    value = {"init.distribution": "haar", "init.scope": "hidden", "seed": 10**7, "model.branch_layers": 2}.get(
        key, value
    )
    row = flat(run) | {"steps": 10**4 + 1}
    one, other = from_row(stored(row)), from_row(stored(row | {key: value}))
    if flat(one)[key] != flat(other)[key] and not (
        {"init.sigma_w", "init.distribution"} & (unread(one) | unread(other))
    ):
        assert (identity(one) == identity(other)) == (key in unread(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optim": OptimConfig(momentum=0.1)}, {}),
        ({"optim": OptimConfig("momentum", beta1=0.1)}, {"optim": OptimConfig("momentum")}),
        ({"model": ModelConfig(branch=0.1, branch_layers=2, negative_slope=0.5)}, {}),
        ({"model": ModelConfig("reversible", branch_layers=2)}, {"model": ModelConfig("reversible")}),
        ({"checkpoint": CheckpointConfig(3)}, {}),
        ({"probe": ProbeConfig(histograms="never", spectra=3)}, {}),
        ({"init": InitConfig("he", sigma_w=2**0.5, distribution="normal")}, {"init": InitConfig("he")}),
        ({"init": InitConfig(distribution="uniform")}, {}),
    ],
)
def test_one_run_written_in_two_ways(one, other):
    assert identity(replace(Run(), **one)) == identity(replace(Run(), **other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optim": OptimConfig("momentum", momentum=0.1)}, {"optim": OptimConfig("momentum")}),
        ({"optim": OptimConfig("adam", beta1=0.1)}, {"optim": OptimConfig("adam")}),
        ({"model": ModelConfig("residual", branch=0.1)}, {"model": ModelConfig("residual")}),
        ({"model": ModelConfig("residual", branch_layers=2)}, {"model": ModelConfig("residual")}),
        (
            {"model": ModelConfig(activation="leaky_relu", negative_slope=0.5)},
            {"model": ModelConfig(activation="leaky_relu")},
        ),
        ({"memory": "checkpoint", "checkpoint": CheckpointConfig(3)}, {"memory": "checkpoint"}),
        ({"probe": ProbeConfig("full", histograms="never")}, {"probe": ProbeConfig("full")}),
        ({"init": InitConfig("he", distribution="uniform")}, {"init": InitConfig("he")}),
    ],
)
def test_two_runs(one, other):
    assert identity(replace(Run(), **one)) != identity(replace(Run(), **other))


def test_where_and_how_is_not_part_of_the_identity():
    other = replace(Run(), name="elsewhere", device="cpu", threads=3, max_members=2, rerun=True, logger="tensorboard")
    assert identity(other) == identity(Run())


def test_an_entry_from_outside_that_says_nothing_reads_everything(monkeypatch):
    monkeypatch.setitem(FAMILIES, "mine", replace(FAMILIES["plain"], reads=None))
    monkeypatch.setitem(OPTIMIZERS, "mine", type("Mine", (Sgd,), {}))
    for one, other in (
        ({"model": ModelConfig("mine", branch=0.5)}, {"model": ModelConfig("mine")}),
        ({"optim": OptimConfig("mine", beta2=0.5)}, {"optim": OptimConfig("mine")}),
    ):
        assert identity(replace(Run(), **one)) != identity(replace(Run(), **other))


@pytest.mark.parametrize("field", sorted(REGISTRIES))
def test_raising_a_version_makes_other_runs_of_those_that_have_the_entry(field, monkeypatch):
    run, other = Run(), from_row(stored(flat(Run()) | {field: "another"}))
    before = identity(run), identity(other)
    entry = REGISTRIES[field][flat(run)[field]]
    raised = type("Raised", (entry,), {"version": 2}) if isinstance(entry, type) else replace(entry, version=2)
    monkeypatch.setitem(REGISTRIES[field], flat(run)[field], raised)
    assert (identity(run) == before[0], identity(other) == before[1]) == (False, True)


def test_a_quantitys_version_matters_to_the_full_tier_alone(monkeypatch):
    light, full = Run(), replace(Run(), probe=ProbeConfig("full"))
    before = identity(light), identity(full)
    monkeypatch.setitem(QUANTITIES, "h_p02", replace(QUANTITIES["h_p02"], version=2))
    assert (identity(light) == before[0], identity(full) == before[1]) == (True, False)


def test_runs_of_an_entry_that_is_gone_can_still_be_named():
    gone = replace(Run(), loss="gone", model=ModelConfig("gone", activation="gone"), optim=OptimConfig("gone"))
    assert len(identity(gone)) == 12 and "gone" not in {**LOSSES, **FAMILIES}
