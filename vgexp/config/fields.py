"""The typed config of one training of one network: a Run.

Every key of the command line is a field here, every default is written here and nowhere else, and the
identity of a run is the hash of what differs from the defaults: a new field leaves old results valid.
"""

import dataclasses
import difflib
import hashlib
import json
import math
import numbers
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vgexp.config.schedules import ACCEPTS as SCHEDULES
from vgexp.config.schedules import schedule

RESULTS_VERSION = 1
"""Raised when a default or the mathematics changes: results of before are then other runs."""

MEMBER_FIELDS = (
    "seed",
    *(f"init.{name}" for name in ("name", "sigma_w", "sigma_b", "distribution", "scope")),
    *(f"optim.{name}" for name in ("lr", "momentum", "beta1", "beta2", "eps")),
)
"""Fields in which the members of one stack may differ; all others are structure."""

NOT_IN_IDENTITY = ("name", "device", "threads", "max_members", "logger", "rerun", "scale", "scales", "only", "members")
"""Fields that change where and how a run is computed, but no number of it."""


class ConfigError(ValueError):
    """A bad value, in one line: the field, what it got and what it accepts."""

    def __init__(self, field: str, got: Any, accepts: str) -> None:
        super().__init__(f"{field}: got {got!r}, accepts {accepts}")


@dataclass
class DataConfig:
    name: str = "shapeset"
    batch_size: int = 10
    range: list[float] = field(default_factory=lambda: [0.0, 1.0])
    """The values of a black and of a white pixel."""


@dataclass
class ModelConfig:
    family: str = "plain"
    depth: int = 5
    """Number of hidden layers."""
    width: Any = 1000
    """Units a hidden layer: an integer, or a list with one integer a layer."""
    activation: str = "tanh"
    negative_slope: float = 0.01
    """Of leaky ReLU."""
    branch: float = 1.0
    """What a branch is multiplied with before it is added (residual, reversible)."""
    branch_layers: int = 1
    """Matrices in a branch: 1 or 2 (residual)."""


@dataclass
class InitConfig:
    name: str = "glorot"
    sigma_w: float | None = None
    """null: the law's own scale."""
    sigma_b: float = 0.0
    distribution: str | None = None
    """null: the law's own; uniform or normal where both exist."""
    scope: str = "all"
    """all; or hidden: the first and the last matrix keep the standard law."""


@dataclass
class OptimConfig:
    name: str = "sgd"
    lr: float = 0.03
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


@dataclass
class ProbeConfig:
    tier: str = "light"
    every: Any = "log"
    on: str = "batch"
    """The tensors that z, h and dz are read from: the step's own batch, or the fixed monitoring examples."""
    histograms: Any = "ends"
    """Schedule of histograms (tier full)."""
    spectra: Any = "ends"
    """Schedule of Jacobian spectra (tier full)."""


@dataclass
class CheckpointConfig:
    every: Any = "sqrt"
    """Layers a segment: an integer, or sqrt; or revolve(s) with s snapshots, the input among them."""


@dataclass
class EvalConfig:
    every: Any = "end"


@dataclass
class Run:
    """One training of one network."""

    name: str = "train"
    """Results go to results/<name>/."""
    seed: int = 0
    steps: int = 1000
    """Updates. T steps give T + 1 observations, 0..T."""
    loss: str = "cross_entropy"
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    init: InitConfig = field(default_factory=InitConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    memory: str = "store"
    """What the backward pass needs is stored, recomputed (checkpoint) or, if reversible, rebuilt (invert)."""
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    device: str = "auto"
    dtype: str = "float32"
    threads: int | None = None
    """CPU threads of one job; null leaves torch's choice."""
    max_members: Any = "auto"
    """The largest stack; auto: by memory."""
    logger: str = "none"
    """Where else the scalars go: none, or tensorboard (below the results, one log a run)."""
    rerun: bool = False
    """Computes runs again that are already done."""
    scale: str | None = None
    """Of an experiment: which of its `scales` to sweep."""
    scales: dict[str, Any] = field(default_factory=dict)
    only: list[str] | None = None
    """Of an experiment: the grids to run, of its scale; null for all."""
    members: Any = None
    """Set by the sweeper: one list of member overrides for each member of the stack."""


def flat(run: Run) -> dict[str, Any]:
    """The config as one dict with dotted keys, without what is for the sweeper only.

    >>> flat(Run())["model.depth"]
    5
    """
    return {key: value for key, value in _leaves(run) if key not in ("logger", "rerun", "scales", "only", "members")}


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for item in dataclasses.fields(config):
        value, key = getattr(config, item.name), prefix + item.name
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, key + ".")
        else:
            yield key, value


def changes(run: Run) -> dict[str, Any]:
    """The fields of a run's identity that differ from their default."""
    default = flat(Run())
    return {k: v for k, v in flat(run).items() if v != default[k] and k not in NOT_IN_IDENTITY}


def identity(run: Run) -> str:
    """12 hex digits: sha256 over the canonical JSON of the run's changes and RESULTS_VERSION."""
    canonical = json.dumps([RESULTS_VERSION, changes(run)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def from_row(row: Mapping[str, Any]) -> Run:
    """The run of a row of the `runs` table: the inverse of `flat`, lists read back from JSON text."""
    run = Run()
    for key, default in flat(run).items():
        value = row[key]
        if isinstance(value, str) and value[:1] == "[":
            value = json.loads(value)
        elif value is None or (isinstance(value, float) and math.isnan(value)):
            value = None
        elif isinstance(default, float):
            value = float(value)
        elif isinstance(value, numbers.Integral) and not isinstance(value, bool):
            value = int(value)
        *path, name = key.split(".")
        target: Any = run
        for part in path:
            target = getattr(target, part)
        setattr(target, name, value)
    return run


def structure(run: Run) -> dict[str, Any]:
    """The fields that all members of a stack share."""
    return {key: value for key, value in flat(run).items() if key not in MEMBER_FIELDS}


def revolve_snapshots(every: Any) -> int | None:
    """The s of `revolve(s)`; None for another value of `checkpoint.every`.

    >>> revolve_snapshots("revolve(4)"), revolve_snapshots("sqrt")
    (4, None)
    """
    found = re.fullmatch(r"revolve\(([1-9]\d*)\)", every) if isinstance(every, str) else None
    return int(found[1]) if found else None


def check(run: Run, choices: Mapping[str, Collection[str]]) -> None:
    """Raises ConfigError on the first field whose value is not accepted.

    `choices` maps a field (`model.activation`) to the names it accepts.
    """
    values = dict(_leaves(run))
    for key, names in choices.items():
        _check_choice(key, values[key], names)
    for key, accepted, accepts in RULES:
        if not _holds(accepted, values[key]):
            raise ConfigError(key, values[key], accepts)
    for key in ("probe.every", "probe.histograms", "probe.spectra", "eval.every"):
        try:
            schedule(values[key], run.steps)
        except ValueError:
            raise ConfigError(key, values[key], SCHEDULES) from None
        if isinstance(values[key], list) and any(step > run.steps for step in values[key]):
            raise ConfigError(key, values[key], f"steps up to {run.steps} (steps)")
    width = run.model.width
    if isinstance(width, list) and len(width) != run.model.depth:
        raise ConfigError("model.width", width, f"one integer for each of the {run.model.depth} layers (model.depth)")


def _check_choice(key: str, value: Any, names: Collection[str]) -> None:
    if value in names:
        return
    close = difflib.get_close_matches(str(value), list(names), n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise ConfigError(key, value, ", ".join(names) + hint)


def _integer(low: int) -> Callable[[Any], bool]:
    return lambda x: isinstance(x, int) and not isinstance(x, bool) and x >= low


def _holds(accepted: Callable[[Any], bool], value: Any) -> bool:
    """NaN passes no rule."""
    return accepted(value) and not (isinstance(value, float) and math.isnan(value))


positive = _integer(1)

RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("name", lambda x: all(part not in ("", "..") for part in x.split("/")), "a relative folder name"),
    ("seed", _integer(0), "an integer of at least 0"),
    ("steps", _integer(0), "an integer of at least 0"),
    ("data.batch_size", positive, "an integer of at least 1"),
    ("data.range", lambda x: len(x) == 2 and x[0] < x[1], "two increasing numbers: [0,1] or [-1,1]"),
    ("model.depth", positive, "an integer of at least 1"),
    (
        "model.width",
        lambda x: positive(x) or (isinstance(x, list) and all(map(positive, x))),
        "an integer of at least 1, or a list of such",
    ),
    ("model.negative_slope", math.isfinite, "a finite number"),
    ("model.branch", math.isfinite, "a finite number"),
    ("model.branch_layers", lambda x: x in (1, 2), "1 or 2"),
    (
        "checkpoint.every",
        lambda x: positive(x) or x == "sqrt" or revolve_snapshots(x) is not None,
        "an integer of at least 1, sqrt, or revolve(s) with s snapshots",
    ),
    ("init.sigma_w", lambda x: x is None or 0 < x < math.inf, "a positive number, or null for the law's own"),
    ("init.sigma_b", lambda x: 0 <= x < math.inf, "a number of at least 0"),
    ("optim.lr", lambda x: 0 <= x < math.inf, "a number of at least 0"),
    ("optim.momentum", lambda x: 0 <= x < 1, "a number in [0, 1)"),
    ("optim.beta1", lambda x: 0 <= x < 1, "a number in [0, 1)"),
    ("optim.beta2", lambda x: 0 <= x < 1, "a number in [0, 1)"),
    ("optim.eps", lambda x: 0 < x < math.inf, "a positive number"),
    ("threads", lambda x: x is None or positive(x), "an integer of at least 1, or null"),
    ("max_members", lambda x: x == "auto" or positive(x), "auto, or an integer of at least 1"),
)
