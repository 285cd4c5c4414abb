"""Columns: what every column of every table is, in one place; stores, figures, pages and documentation read it.

A quantity that users add from outside has a column that is not listed here: its name is then its label.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from vgexp.config import ConfigError

TENSORS = {
    "z": "preactivation z",
    "h": "activation h",
    "dz": "gradient dz",
    "dx": "gradient dx",
    "dw": "weight gradient dW",
    "w": "weights W",
}
"""What is measured, as axes say it."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    meaning: str
    label: str = ""
    """On an axis; the name where it is empty."""
    unit: str = ""
    of: str = ""
    """The tensor that it measures, a key of TENSORS."""
    default: Any = math.nan
    """What a table reads as that was written before the column existed."""
    cells: str = "number"
    """What its cells are where they are no text: a number, a flag, or a list of numbers."""

    @property
    def kind(self) -> str:
        """What its cells are."""
        return "text" if self.default == "" else self.cells


@dataclass(frozen=True)
class Table:
    """One table: a row for each value of its key."""

    key: tuple[str, ...]
    columns: tuple[str, ...] = ()
    """What every run has, in this order, after the key."""
    optional: tuple[str, ...] = ()
    """What some runs have: a tier, a memory mode or a family."""

    @property
    def names(self) -> tuple[str, ...]:
        """All columns: the key, what every run has, what some have."""
        return self.key + self.columns + self.optional


def _of(tensor: str, statistic: str, meaning: str) -> Column:
    return Column(meaning, f"{TENSORS[tensor]} ({statistic})", of=tensor)


COLUMNS: dict[str, Column] = {
    # What a row is of.
    "run": Column("the run's id: 12 hex digits of the hash of what differs from the defaults", default=""),
    "step": Column("updates so far: step 0 is the network at initialisation", "step"),
    "layer": Column("1..depth are the hidden layers, depth + 1 is the readout", "layer"),
    "part": Column("the parameter within a layer: empty for its last or only matrix, else its name", default=""),
    "quantity": Column("which tensor the histogram is of: h, dz or dw", default=""),
    # Signals forward.
    "z_rms": _of("z", "rms", "root mean square of what the matrix puts out, over units and examples"),
    "h_mean": _of("h", "mean", "mean of phi over units and examples; it stands beside the z that phi reads"),
    "h_std": _of("h", "std", "standard deviation of phi over units and examples"),
    "h_rms": _of("h", "rms", "root mean square of phi over units and examples"),
    "h_p02": _of("h", "2nd percentile", "2nd percentile of phi over units and examples"),
    "h_p98": _of("h", "98th percentile", "98th percentile of phi over units and examples"),
    "saturation": Column("fraction of entries with |phi'| below 4 % of its maximum", "fraction saturated", of="z"),
    "dead": Column("fraction of units with phi' = 0 on every example", "fraction of dead units", of="z"),
    # Gradients, at the scale of one example.
    "dz_rms": _of("dz", "rms", "root mean square of the gradient with respect to z, at the scale of one example"),
    "dz_norm": _of("dz", "norm", "the larger of the norms of dz over a batch and of its sum over positions"),
    "depth": Column("the largest number of calls between a call of a layer and the loss", "calls below the loss"),
    "dx_rms": _of("dx", "rms", "root mean square of the gradient with respect to what the layer hands on"),
    "dw_rms": _of("dw", "rms", "root mean square of the gradient of the mean loss with respect to W, before clipping"),
    "grad_rms": Column("root mean square of dW over the weights of all layers", "dW of all layers (rms)", of="dw"),
    # Weights.
    "w_rms": _of("w", "rms", "root mean square of the weights"),
    "w_max": _of("w", "largest |W|", "the largest absolute weight"),
    "update_ratio": Column("root mean square of the coming update over that of the weights", "rms(ΔW) / rms(W)"),
    "rebuild_error": Column("relative error of the state that a reversible layer rebuilt", "error of a rebuilt state"),
    # Costs: the stack's share over its members.
    "forward_ms": Column("time of the forward pass", "forward pass", "ms"),
    "backward_ms": Column("time of the backward pass, update included", "backward pass", "ms"),
    "flops": Column("forward and backward, update included", "FLOPs"),
    "forward_flops": Column("products and sums of the forward pass", "FLOPs forward"),
    "backward_flops": Column("products and sums of the backward pass: update and recomputation included", "FLOPs back"),
    "saved_bytes": Column("what the forward pass keeps for the backward pass", "saved", "B"),
    "live_bytes": Column("the most that activations and their gradients take at once in a step", "live memory", "B"),
    "inference_bytes": Column("the most that activations take at once without a backward pass", "live memory", "B"),
    "peak_bytes": Column(
        "the most memory that training took beyond what the process held before, the stack's share; NaN where it "
        "cannot be told. In older tables the most that the process took so far",
        "peak memory",
        "B",
    ),
    # Training.
    "examples": Column("examples seen so far", "examples seen", default=0),
    "train_loss": Column("loss of the batch", "training loss", "nats"),
    "train_error": Column("fraction of the batch whose largest output is not the target's", "training error"),
    "valid_loss": Column("loss on the validation set", "validation loss", "nats"),
    "valid_error": Column("error rate on the validation set", "validation error"),
    "test_loss": Column("loss on the test set", "test loss", "nats"),
    "test_error": Column("error rate on the test set", "test error"),
    # Distributions, in cells of lists.
    "edges": Column("edges of the histogram's bins, one more than there are bins", default=None, cells="list"),
    "density": Column("density in each bin: it integrates to 1", "density", default=None, cells="list"),
    "singular_values": Column(
        "of dx(l) / dx(l-1) at one example, descending", "singular value", default=None, cells="list"
    ),
    # A run.
    "stack": Column("the stack that computed the run: it names the files that hold its rows", default=""),
    "status": Column("running, done or failed", default=""),
    "message": Column("why it failed", default=""),
    "diverged_at": Column("the first step whose loss was not finite", default=None),
    "seconds": Column("time of training, the stack's share", "time", "s"),
    "started": Column("when it began, in seconds since 1970", unit="s"),
    "updated": Column("when the row was written, in seconds since 1970", unit="s"),
    "git_sha": Column("commit of the code", default=""),
    "git_dirty": Column("whether the code had changes that were not committed", default=None, cells="flag"),
    "vgexp": Column("version of vgexp", default=""),
    "torch": Column("version of torch", default=""),
    "python": Column("version of Python", default=""),
    "device": Column("cpu, or the name of the GPU", default=""),
    "processor": Column("model of the host's processor", default=""),
    "threads": Column("threads that torch used on the host", default=None),
    # A watched model.
    "name": Column("the layer's name in the model", default=""),
    "call": Column("which call of that layer within a forward pass, counted from 0", default=0),
    "module": Column("the layer's class", default=""),
    "activation": Column("what took the layer's output, where it is known", default=""),
    "frozen": Column("whether all weights of the layer are frozen", default=False, cells="flag"),
}

ERRORS = ("train_loss", "train_error", "valid_loss", "valid_error", "test_loss", "test_error")
TIMES = ("seconds", "started", "updated", "forward_ms", "backward_ms", "peak_bytes")
PROVENANCE = ("stack", "git_sha", "git_dirty", "vgexp", "torch", "python", "device", "processor", "threads")
"""Columns, as TIMES, that may differ between two computations of the same run."""

COLUMNS |= {
    f"final_{name}": Column(
        f"{COLUMNS[name].meaning}: the last one; NaN of a run that diverged",
        f"final {COLUMNS[name].label}",
        COLUMNS[name].unit,
    )
    for name in ERRORS
}

TABLES: dict[str, Table] = {
    "runs": Table(
        ("run",),
        ("status", "message", "step", "diverged_at", *TIMES[:3], "peak_bytes", *PROVENANCE),
        ("forward_flops", "backward_flops", "live_bytes", "inference_bytes", *(f"final_{name}" for name in ERRORS)),
    ),
    "steps": Table(("run", "step"), ("examples", *ERRORS, "grad_rms")),
    "layers": Table(
        ("run", "step", "layer", "part"),
        ("z_rms", "h_mean", "h_std", "h_rms", "dz_rms", "dx_rms", "dw_rms", "w_rms", "update_ratio"),
        (
            *("h_p02", "h_p98", "saturation", "dead", "w_max", "rebuild_error"),
            *("forward_ms", "backward_ms", "flops", "forward_flops", "backward_flops", "saved_bytes"),
        ),
    ),
    "histograms": Table(("run", "step", "layer", "part", "quantity"), ("edges", "density")),
    "spectra": Table(("run", "step", "layer"), ("singular_values",)),
}
"""The tables of a results folder. `runs` has the fields of the config besides, under their dotted names."""
WATCHED = Table(
    ("step", "layer"),
    ("name", "call", "module", "activation", "frozen"),
    ("z_rms", "h_mean", "h_std", "saturation", "dead", "depth", "dz_rms", "dz_norm", "dw_rms", "w_rms", "update_ratio"),
)
"""The frame of a watched model: a layer is a call there, in the order of execution."""


def label(name: str) -> str:
    """A column or a tensor as an axis says it, with its unit.

    >>> label("dz_rms"), label("forward_ms"), label("dw"), label("my_quantity")
    ('gradient dz (rms)', 'forward pass (ms)', 'weight gradient dW', 'my_quantity')
    """
    column = COLUMNS.get(name, Column("", TENSORS.get(name, name)))
    return f"{column.label or name} ({column.unit})" if column.unit else column.label or name


def defaults(table: str) -> Mapping[str, Any]:
    """What the key and the columns that every run has read as in a table that is older than they are."""
    return {name: COLUMNS[name].default for name in TABLES[table].key + TABLES[table].columns}


def lacking(table: str, asked: Collection[str], there: Collection[str]) -> dict[str, Any]:
    """What the columns read as that are asked for of a table and not there. Raises ConfigError for one not known:
    neither the table's own nor a quantity that was added.

    >>> lacking("layers", ["step", "part", "saturation"], ["run", "step", "layer"])
    {'part': '', 'saturation': nan}
    """
    found = {}
    for name in asked:
        if name in there:
            continue
        if name not in TABLES[table].names and not (table == "layers" and _added(name)):
            near = get_close_matches(name, [*there, *TABLES[table].names], n=1, cutoff=0)
            raise ConfigError("columns", name, f"columns of {table}; the nearest is {near[0]}")
        found[name] = COLUMNS[name].default if name in COLUMNS else math.nan
    return found


def _added(name: str) -> bool:
    """Whether a quantity of this name was added."""
    from vgexp.numerics import QUANTITIES  # loads torch, which no other name needs

    return name in QUANTITIES
