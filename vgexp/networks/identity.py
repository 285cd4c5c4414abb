"""The identity of a run, which depends on what it is made of: an entry of each registry.

An entry may say which fields it reads, and its version. Runs that differ in a field that their entries do not read are
one run; a version that is raised makes other runs of those that have the entry, and so does an edit of an entry from
outside vgexp.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vgexp.config import FIELDS, CheckpointConfig, ConfigError, InitConfig, Run, digest, flat, source
from vgexp.config import changes as changes_of
from vgexp.data import DATASETS
from vgexp.networks.activations import ACTIVATIONS
from vgexp.networks.blueprints import PER_DEPTH, STANDARD, branch_scale
from vgexp.networks.checkpoint import segment_length
from vgexp.networks.families import FAMILIES
from vgexp.networks.initializers import INITIALIZERS, resolved
from vgexp.networks.losses import LOSSES
from vgexp.networks.normalizations import NORMS
from vgexp.networks.optimizers import OPTIMIZERS
from vgexp.numerics import QUANTITIES

REGISTRIES: Mapping[str, Mapping[str, Any]] = {
    "data.name": DATASETS,
    "init.name": INITIALIZERS,
    "loss": LOSSES,
    "model.activation": ACTIVATIONS,
    "model.family": FAMILIES,
    "model.norm": NORMS,
    "optim.name": OPTIMIZERS,
}
"""The registry that each of these fields chooses from."""
READS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "memory": {
        "store": frozenset(),
        "checkpoint": frozenset({"checkpoint.every"}),
        "invert": frozenset(),
    },
    "probe.tier": {
        "light": frozenset(),
        "full": frozenset({"probe.histograms", "probe.spectra"}),
        "cost": frozenset(),
    },
}
"""The fields that are read by what is no entry of a registry."""


def identity(run: Run) -> str:
    """12 hex digits, the same for all runs that must give the same numbers."""
    run = _plainest(run)
    return digest(changes_of(run, unread(run)), versions(run))


def changes(run: Run) -> dict[str, Any]:
    """The fields of a run's identity that differ from their default."""
    run = _plainest(run)
    return changes_of(run, unread(run))


def unread(run: Run) -> set[str]:
    """The fields that could as well have their default: nothing that the run is made of reads them, or they say what
    holds without them."""
    found = set(not_read(run))
    law, init = INITIALIZERS.get(run.init.name), run.init
    if law is not None:
        if init.sigma_w is not None and _is_own_scale(run):
            found.add("init.sigma_w")
        if init.distribution == law.distributions[0]:
            found.add("init.distribution")
        own = init.sigma_w in (None, law.sigma_w) and init.distribution in (None, law.distributions[0])
        if init.name == STANDARD and own:
            found.add("init.scope")
    if run.checkpoint.every == segment_length(_recomputed(run)):
        found.add("checkpoint.every")
    if run.optim.warmup == 1:
        found.add("optim.warmup")
    if run.steps < max(1, run.optim.warmup):  # it ends before it could decay
        found.add("optim.schedule")
    if run.data.seed == run.seed:
        found.add("data.seed")
    return found


def not_read(run: Run) -> dict[str, str]:
    """The fields that nothing of a run reads, each with the field whose choice does not: `model.branch` and
    `model.family` of a plain network."""
    chosen, found = flat(run), {}
    for key, known in FIELDS.items():
        for field in known.read_by:
            reads = _reads(field, chosen[field])
            if reads is not None and key not in reads:
                found.setdefault(key, field)
    return found


def readers(key: str, field: str) -> list[str]:
    """The choices of a field that read another one.

    >>> readers("optim.momentum", "optim.name"), readers("checkpoint.every", "memory")
    (['momentum'], ['checkpoint'])
    """
    names = READS[field] if field in READS else REGISTRIES[field]
    return [name for name in names if (reads := _reads(field, name)) is None or key in reads]


def _is_own_scale(run: Run) -> bool:
    """Whether `init.sigma_w` is what the law would have without it, which has the same biases then."""
    try:
        return resolved(replace(run, init=replace(run.init, sigma_w=None))) == run.init
    except (ConfigError, KeyError):  # a law that has none for this run, or an activation that is gone
        return False


def _plainest(run: Run) -> Run:
    """The run, with segments no longer than the chain that they cut, the law that all its matrices have, and a branch's
    number in place of its formula.

    Snapshots that are more than the chain are left as they are: runs that are published have ids with them.
    """
    every, init = run.checkpoint.every, run.init
    if isinstance(every, int):
        every = min(every, _recomputed(run))
    if init.scope == "hidden" and run.model.depth == 1:  # both matrices are ends
        init = InitConfig(STANDARD, sigma_b=init.sigma_b)
    model = run.model
    if model.branch == PER_DEPTH:
        model = replace(model, branch=branch_scale(run))
    return replace(run, checkpoint=CheckpointConfig(every), init=init, model=model)


def _recomputed(run: Run) -> int:
    """The layers that a checkpointing run cuts into segments."""
    family = FAMILIES.get(run.model.family)
    return max(1, run.model.depth - (family.stored if family else 0))


def versions(run: Run) -> dict[str, int | str]:
    """The versions of what the run is made of, by the field that chooses it; of a quantity by `quantities.<column>`.

    Of what is not vgexp's own a digest of its source stands beside the version.
    """
    chosen = flat(run)
    entries = {field: registry.get(chosen[field]) for field, registry in REGISTRIES.items()}
    if run.probe.tier == "full":
        entries |= {f"quantities.{column}": quantity for column, quantity in QUANTITIES.items()}
    return {name: _version(entry) for name, entry in entries.items()}


def _version(entry: Any) -> int | str:
    version, made_of = getattr(entry, "version", 1), "" if entry is None else source(entry)
    return f"{version} {made_of}" if made_of else version


def _reads(field: str, name: Any) -> frozenset[str] | None:
    """What the entry reads that a field chooses; None where it does not say so: it may read everything."""
    if field in READS:
        return READS[field].get(name)
    if field not in REGISTRIES:  # a number: `unread` knows where it decides
        return None
    entry = REGISTRIES[field].get(name)
    if entry is None and name in REGISTRIES[field]:  # as of model.norm=none
        return frozenset()
    # Of a class only what it says itself: a subclass from outside may read more than its parent.
    return vars(entry).get("reads") if isinstance(entry, type) else getattr(entry, "reads", None)
