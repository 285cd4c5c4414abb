"""The identity of a run, and that of everything that was committed."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgexp.config.errors import ConfigError
from vgexp.config.fields import (
    FIELDS,
    CheckpointConfig,
    DataConfig,
    InitConfig,
    ModelConfig,
    OptimConfig,
    ProbeConfig,
    Run,
)
from vgexp.config.rows import flat, from_row
from vgexp.config.rules import SCHEDULE
from vgexp.config.schedules import schedule
from vgexp.networks.activations import ACTIVATIONS
from vgexp.networks.families import FAMILIES
from vgexp.networks.identity import READS, REGISTRIES, changes, identity, unread
from vgexp.networks.initializers import INITIALIZERS, resolved
from vgexp.networks.losses import LOSSES
from vgexp.networks.normalizations import NORMS
from vgexp.networks.optimizers import OPTIMIZERS, Sgd
from vgexp.numerics.criticality import critical_sigma_w
from vgexp.numerics.quantities import QUANTITIES
from vgexp.results.reading import stored


def checkpointed(depth, every, family="plain"):
    return {"memory": "checkpoint", "checkpoint": CheckpointConfig(every), "model": ModelConfig(family, depth)}


REMEDIES = [OptimConfig(weight_decay=0.1), OptimConfig(clip=1e9), OptimConfig(warmup=2), OptimConfig(schedule="cosine")]
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


VALUES = {
    "seed": [0, 1],
    "steps": [6, 12],
    "loss": sorted(LOSSES),
    "data.name": ["shapeset", "digits"],
    "data.batch_size": [10, 11],
    "data.range": [[0.0, 1.0], [-1.0, 1.0]],
    "data.seed": [None, 2],
    "model.family": sorted(FAMILIES),
    "model.depth": [8, 12],
    "model.width": [4, 5],
    "model.activation": sorted(ACTIVATIONS),
    "model.negative_slope": [0.01, 0.2],
    "model.norm": sorted(NORMS),
    "model.norm_at": ["before", "after"],
    "model.placement": ["pre", "post"],
    "model.branch": [1.0, 0.5, "1/sqrt(L)", "learned"],
    "model.branch_layers": [1, 2],
    "model.gate_bias": [-2.0, 0.0],
    "model.growth": [16, 3],
    "model.scalars": ["none", "fixup"],
    "init.name": sorted(INITIALIZERS),
    "init.sigma_w": [None, 0.7],
    "init.sigma_b": [0.0, 1.0],
    "init.distribution": [None, "other"],
    "init.scope": ["all", "hidden"],
    "init.base_width": [64, 7],
    "optim.name": sorted(OPTIMIZERS),
    "optim.lr": [0.03, 1.0],
    "optim.momentum": [0.9, 0.0],
    "optim.beta1": [0.9, 0.0],
    "optim.beta2": [0.999, 0.0],
    "optim.eps": [1e-8, 1.0],
    "optim.weight_decay": [0.0, 0.1],
    "optim.clip": [None, 1.0, 2.0],
    "optim.warmup": [0, 2, 9],
    "optim.schedule": ["constant", "cosine"],
    "probe.tier": ["light", "full", "cost"],
    "probe.every": ["log", "ends", "end", "never", 1, 4],
    "probe.on": ["batch", "monitor"],
    "probe.histograms": ["ends", "never"],
    "probe.spectra": ["ends", "never"],
    "eval.every": ["end", "ends", "never", 5],
    "memory": ["store", "checkpoint", "invert"],
    "checkpoint.every": ["sqrt", 1, "revolve(2)"],
    "dtype": ["float32", "float64"],
}
"""Values of every field that counts, no two of which mean the same."""
configs = st.fixed_dictionaries({key: st.sampled_from(values) for key, values in VALUES.items()})


def test_every_field_that_counts_has_values():
    assert list(VALUES) == [key for key, known in FIELDS.items() if known.in_identity]


@given(configs, st.data())
def test_another_value_is_another_run_where_something_reads_it_and_only_there(config, data):
    key = data.draw(st.sampled_from(list(VALUES)))
    value = data.draw(st.sampled_from([value for value in VALUES[key] if value != config[key]]))
    run, other = from_row(stored(config)), from_row(stored(config | {key: value}))
    assert (identity(run) == identity(other)) == (key in unread(run))


@given(configs)
def test_everything_can_be_said_in_other_words(config):
    run = from_row(stored(config))
    due = {key: schedule(config[key], run.steps) for key, known in FIELDS.items() if known.rule is SCHEDULE}
    words: dict[str, object] = {
        key: [step for step in range(run.steps, -1, -1) if due[key](step)] * 2 for key in due
    } | {key: VALUES[key][0] for key in unread(run)}
    words["model.width"] = [run.model.width] * run.model.depth
    if run.init.sigma_w is None:
        with contextlib.suppress(ConfigError):  # softplus has no critical one
            own = resolved(run)
            if own.sigma_b == run.init.sigma_b:  # the critical law may choose both
                words["init.sigma_w"] = own.sigma_w
    if run.init.distribution is None:
        words["init.distribution"] = INITIALIZERS[run.init.name].distributions[0]
    assert identity(from_row(stored(config | words))) == identity(run)
    for key, value in words.items():
        assert identity(from_row(stored(config | {key: value}))) == identity(run), key


CHOOSING = {field for known in FIELDS.values() for field in known.read_by} - {"steps", "optim.warmup"}


@pytest.mark.parametrize("field", sorted(CHOOSING))
def test_what_is_read_are_fields(field):
    """A typing error in `reads` would make one run of several."""
    readable = {key for key, known in FIELDS.items() if field in known.read_by}
    for name in READS[field] if field in READS else REGISTRIES[field]:
        entry = REGISTRIES.get(field, {}).get(name)
        reads = READS[field][name] if field in READS else entry and vars(entry).get("reads")
        assert reads is None or reads <= readable, name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optim": OptimConfig(momentum=0.1)}, {}),
        ({"optim": OptimConfig("momentum", beta1=0.1)}, {"optim": OptimConfig("momentum")}),
        ({"model": ModelConfig(branch=0.1, branch_layers=2, negative_slope=0.5)}, {}),
        ({"model": ModelConfig("reversible", branch_layers=2)}, {"model": ModelConfig("reversible")}),
        ({"model": ModelConfig(norm_at="after", placement="post", growth=3, gate_bias=1.0)}, {}),
        (
            {"model": ModelConfig("residual", norm="rms", norm_at="after")},
            {"model": ModelConfig("residual", norm="rms")},
        ),
        ({"model": ModelConfig("highway", norm="rms")}, {"model": ModelConfig("highway")}),
        ({"model": ModelConfig("residual", branch="1/sqrt(L)")}, {"model": ModelConfig("residual", branch=0.5)}),
        ({"checkpoint": CheckpointConfig(3)}, {}),
        ({"probe": ProbeConfig(histograms="never", spectra=3)}, {}),
        ({"init": InitConfig("he", sigma_w=2**0.5, distribution="normal")}, {"init": InitConfig("he")}),
        ({"init": InitConfig(distribution="uniform")}, {}),
        ({"init": InitConfig("standard", scope="hidden")}, {"init": InitConfig("standard")}),
        (
            {"init": InitConfig("standard", 1 / 3**0.5, 0.1, "uniform", "hidden")},
            {"init": InitConfig("standard", None, 0.1)},
        ),
        (
            {"model": ModelConfig(depth=1), "init": InitConfig("he", 2.0, 0.1, scope="hidden")},
            {"model": ModelConfig(depth=1), "init": InitConfig("standard", sigma_b=0.1)},
        ),
        ({"init": InitConfig("critical", critical_sigma_w(ACTIVATIONS["tanh"]))}, {"init": InitConfig("critical")}),
        ({"init": InitConfig("lecun", base_width=7)}, {"init": InitConfig("lecun")}),
        ({"optim": OptimConfig(warmup=1)}, {}),
        ({"optim": OptimConfig(warmup=1, schedule="cosine")}, {"optim": OptimConfig(schedule="cosine")}),
        ({"optim": OptimConfig(schedule="cosine"), "steps": 0}, {"steps": 0}),
        (
            {"optim": OptimConfig(warmup=8, schedule="cosine"), "steps": 7},
            {"optim": OptimConfig(warmup=8), "steps": 7},
        ),
        ({"optim": OptimConfig(clip=1)}, {"optim": OptimConfig(clip=1.0)}),
        ({"seed": 3, "data": DataConfig(seed=3)}, {"seed": 3}),
        (checkpointed(16, 4), checkpointed(16, "sqrt")),
        (checkpointed(17, 4, "reversible"), checkpointed(17, "sqrt", "reversible")),
        (checkpointed(1, 1), checkpointed(1, "sqrt")),
        (checkpointed(5, 7), checkpointed(5, 5)),
    ],
)
def test_one_run_written_in_two_ways(one, other):
    assert identity(replace(Run(), **one)) == identity(replace(Run(), **other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optim": OptimConfig("momentum", momentum=0.1)}, {"optim": OptimConfig("momentum")}),
        ({"optim": OptimConfig("adam", beta1=0.1)}, {"optim": OptimConfig("adam")}),
        *(
            ({"optim": replace(one, name=name)}, {"optim": OptimConfig(name)})
            for name in OPTIMIZERS
            for one in REMEDIES
        ),
        (
            {"optim": OptimConfig(warmup=7, schedule="cosine"), "steps": 7},
            {"optim": OptimConfig(warmup=7), "steps": 7},
        ),
        ({"model": ModelConfig("residual", branch=0.1)}, {"model": ModelConfig("residual")}),
        ({"model": ModelConfig("residual", branch_layers=2)}, {"model": ModelConfig("residual")}),
        (
            {"model": ModelConfig(activation="leaky_relu", negative_slope=0.5)},
            {"model": ModelConfig(activation="leaky_relu")},
        ),
        ({"model": ModelConfig(norm="rms", norm_at="after")}, {"model": ModelConfig(norm="rms")}),
        ({"model": ModelConfig("dense", norm="batch")}, {"model": ModelConfig("dense")}),
        ({"model": ModelConfig("residual", branch="learned")}, {"model": ModelConfig("residual", branch=0.0)}),
        ({"memory": "checkpoint", "checkpoint": CheckpointConfig(3)}, {"memory": "checkpoint"}),
        ({"probe": ProbeConfig("full", histograms="never")}, {"probe": ProbeConfig("full")}),
        ({"init": InitConfig("he", distribution="uniform")}, {"init": InitConfig("he")}),
        ({"init": InitConfig("standard", 0.7, scope="hidden")}, {"init": InitConfig("standard", 0.7)}),
        ({"init": InitConfig("he", scope="hidden")}, {"init": InitConfig("he")}),
        # The pair of GELU has biases too, which a scale of the weights that is given leaves out.
        (
            {"model": ModelConfig(activation="gelu"), "init": InitConfig("critical", sigma_w=1.40821101310761)},
            {"model": ModelConfig(activation="gelu"), "init": InitConfig("critical")},
        ),
        ({"init": InitConfig("mup", base_width=7)}, {"init": InitConfig("mup")}),
        ({"seed": 3, "data": DataConfig(seed=0)}, {"seed": 3}),
        (checkpointed(17, 4, "reversible"), checkpointed(17, 5, "reversible")),
        (checkpointed(5, 4), checkpointed(5, 5)),
        (checkpointed(5, "revolve(4)"), checkpointed(5, "revolve(5)")),
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
    run = Run(model=ModelConfig(norm="rms"))
    other = from_row(stored(flat(run) | {field: "another"}))
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
    assert len(identity(replace(gone, init=InitConfig("critical", sigma_w=1.0)))) == 12
