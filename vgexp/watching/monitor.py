"""The same instruments on any model: `with vgexp.watch(model) as monitor: ...`.

A layer is a module that owns a parameter of two or more dimensions; each of its calls is a row, in the order of
execution. z is the first tensor that the call puts out, dz the gradient with respect to it. Hooks measure both (see
listener); weights and their gradients are measured in `step()`.
"""

import math
import weakref
from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
import torch
from torch import Tensor, nn

from vgexp.config import ACCEPTS, counted, schedule
from vgexp.numerics import torch_private
from vgexp.watching.hooks.calls import Call
from vgexp.watching.hooks.layers import owner
from vgexp.watching.hooks.listener import Listener
from vgexp.watching.hooks.observations import Observation, table
from vgexp.watching.hooks.refusals import Unsupported
from vgexp.watching.hooks.updates import Standstill, Updates
from vgexp.watching.verdicts.diagnosis import Diagnosis, conclude
from vgexp.watching.verdicts.evidence import NEVER_CALLED, Evidence, closed_gates, gather, ungraded

if TYPE_CHECKING:
    from vgexp.figures import Picture

FOREVER = 10**9
"""More steps than any training has: how many there will be is not known."""
RECENT = 3
"""Recorded steps that the diagnosis looks at: a unit is silent if it was in all of them."""
SHOWN = 10
"""Layers that a notebook shows of a monitor."""


class Monitor:
    """Hooks in a model, and what they measured: one row a recorded step and call of a layer."""

    def __init__(
        self,
        model: nn.Module,
        every: str | int | Sequence[int] = "log",
        quantities: str = "all",
        scaler: "torch.amp.GradScaler | None" = None,
        optimizer: Any = None,
        through_time: bool = False,
    ) -> None:
        """As `watch`. `through_time` has inputs of recurrent layers require a gradient, so that it is measured."""
        try:
            self._due = schedule(every, FOREVER)
        except ValueError:
            raise ValueError(f"every: got {every!r}, accepts {ACCEPTS}") from None
        if quantities not in ("all", "gradients"):
            raise ValueError(f"quantities: got {quantities!r}, accepts all, gradients")
        self._listener = Listener(model, quantities == "all", through_time)
        self.model, self.layers, self._scaler = model, self._listener.layers, scaler
        try:
            self._updates = None if optimizer is None else Updates(optimizer, self.layers)
        except ValueError:
            self._listener.close()
            raise
        self._remove_hooks = weakref.finalize(self, _close, self._listener, self._updates)  # of who forgets close() too
        self._remove_hooks.atexit = False
        self._standstill = Standstill()
        self._gates: set[str] = set()
        """Layers that were found with weights that are all 0."""
        self._fed: set[str] = set()
        """Modules of which a parameter had a gradient at a recorded step."""
        self._step = 0
        self._observations: list[Observation] = []
        self._listen()

    def __repr__(self) -> str:
        """The model, its layers, and how many steps were recorded of how many, in one line."""
        steps = f"{len(self._observations)} of {counted(self._step, 'step')} recorded"
        return f"Monitor({type(self.model).__name__}: {counted(len(self.layers), 'layer')}, {steps})"

    def _repr_html_(self) -> str:
        """The same, and the first layers in the last recorded step, for notebooks."""
        last = table(self._observations[-1:])
        shown = last[["layer", "name", "module", "activation", "z_rms", "dz_rms", "dw_rms"]].head(SHOWN)
        return f"<p>{escape(repr(self))}</p>{shown.to_html(index=False, float_format='{:.3g}'.format)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes every hook out of the model and its optimizers. What was recorded stays.

        It happens by itself once nothing holds the monitor.
        """
        self._remove_hooks()
        self._due = lambda step: False

    def step(self) -> None:
        """Records the step if it is due.

        Call it after the backward pass and before gradients are clipped, unscaled, used or cleared. Where gradients are
        accumulated, call it once an optimizer step. Raises Unsupported if no layer was seen to run although the weights
        have gradients.
        """
        if self._updates is not None:
            self._updates.expect(None)
        if self._due(self._step):
            self._record()
        self._listener.forget()
        self._step += 1
        self._listen()

    def _listen(self) -> None:
        """Puts the hooks in if the coming step is recorded; takes them out if not."""
        if self._due(self._step):
            self._listener.listen()
        else:
            self._listener.silence()

    def frame(self) -> pd.DataFrame:
        """One row a recorded step and call of a layer: the columns are explained in docs/watch.md."""
        return table(self._observations)

    def diagnosis(self) -> Diagnosis:
        """What the last recorded steps say. Raises RuntimeError while nothing is recorded."""
        steps = self.evidence()
        if not steps:
            raise RuntimeError("nothing is recorded yet: call step() after a backward pass")
        return conclude(steps)

    def evidence(self) -> list[Evidence]:
        """What the diagnosis reads of the last recorded steps."""
        found = [gather(observation, self.layers) for observation in self._observations[-RECENT:]]
        return [*found[:-1], *map(self._with_past, found[-1:])]

    def _with_past(self, last: Evidence) -> Evidence:
        return last._replace(before=self._lost(last), resting=[name for name in last.disconnected if name in self._fed])

    def _lost(self, last: Evidence) -> set[str]:
        """What has no gradient at the last recorded step, and had one at an earlier step."""
        earlier = self._observations[:-1]
        graded = {name for observation in earlier for name in observation.graded}
        return {
            name
            for name, why in last.disconnected.items()
            if (name in graded if why == NEVER_CALLED else any(name not in seen.ungraded for seen in earlier))
        }

    def coverage(self) -> pd.DataFrame:
        """One row a layer of the model: its calls in the last recorded step, and why it has no gradient, if so."""
        steps = self.evidence()
        calls = Counter(row["name"] for row in steps[-1].rows) if steps else Counter()
        absent = steps[-1].absent if steps else {}
        rows = [(layer.name, layer.kind, calls[layer.name], absent.get(layer.name, "")) for layer in self.layers]
        return pd.DataFrame(rows, columns=["name", "module", "calls", "why"])

    def plot(self) -> "Picture":
        """Gradient, preactivation, weight gradient and update over depth, a line a recorded step."""
        from vgexp.figures import watched_picture

        return watched_picture(self.frame())

    def save(self, path: str | Path) -> Path:
        """Writes the frame as .parquet or .csv, or the diagnosis as .json. Raises ValueError for other endings."""
        path = Path(path)
        writers = {
            ".parquet": lambda: self.frame().to_parquet(path, index=False),
            ".csv": lambda: self.frame().to_csv(path, index=False),
            ".json": lambda: path.write_text(self.diagnosis().to_json()),
        }
        if path.suffix not in writers:
            raise ValueError(f"path: got {str(path)!r}, accepts a name that ends with {', '.join(writers)}")
        path.parent.mkdir(parents=True, exist_ok=True)
        writers[path.suffix]()
        return path

    def to_tensorboard(self, folder: str | Path) -> Path:
        """Writes every number of the frame as a scalar `column/layer` into an event file in `folder`. Needs the extra
        `tensorboard`."""
        from vgexp.results.scalars import scalars
        from vgexp.results.tensorboard import write

        write(Path(folder), scalars(self.frame(), key="name"))
        return Path(folder)

    def _record(self) -> None:
        calls = self._listener.calls()
        if not calls:
            if any(weight.grad is not None for layer in self.layers for weight in layer.weights):
                raise Unsupported(
                    "the weights have gradients, but no layer was seen to run: the model was compiled before it was "
                    "watched (watch it first), or its weights are used without its modules being called"
                )
            return
        first = {call.layer: call for call in reversed(calls)}
        idle = [Call(layer, 0) for layer in self.layers if layer not in first]
        first |= {call.layer: call for call in idle}
        for layer in self.layers:
            for weight in layer.weights:
                if weight.grad is not None and not layer.tied:
                    first[layer].norm("dw_rms", weight.grad)
                if self._listener.everything:
                    first[layer].norm("w_rms", weight)
        scale, divided = self._scale()
        observation = Observation(self._step, calls, idle, scale, divided)
        observation.times = self._listener.recurrence.profiles(self._listener.tasks, scale)
        observation.untimed = self._listener.recurrence.unmeasured
        observation.others = self._listener.others
        trainable = self._listener.trainable()
        observation.ungraded = ungraded(trainable, self._listener.fed)
        self._fed.update(owner(name) for name, p in trainable.items() if id(p) in self._listener.fed)
        if (observation.column("dw_rms") == 0).any():
            observation.gates = closed_gates(self.model)
        observation.opened = self._opened(observation)
        self._gates.update(map(owner, observation.gates))
        observation.leftover = self._listener.leftover()
        observation.unmoved = self._standstill.look(self._step, self.layers, observation.known("w_rms"))
        if self._updates is not None:
            observation.holdings = self._updates.holdings(self.model, trainable, self._listener.fed)
            self._updates.expect(partial(observation.fill, "update_ratio"))
        if self._observations:
            observation.share(self._observations[-1])
        self._observations.append(observation)
        for old in self._observations[-1 - RECENT : -RECENT]:
            old.calls = old.idle = ()
            old.times = []

    def _opened(self, observation: Observation) -> list[str]:
        """The layers that were gates at an earlier step, as the second factors of LoRA, and are opening."""
        if not self._gates:
            return []
        now, before = observation.known("w_rms"), self._observations[-1].known("w_rms")
        return [name for name in self._gates if now.get(name, 0.0) > before.get(name, math.inf)]

    def _scale(self) -> tuple[float | Tensor, Collection[str]]:
        """The scaler's factor, on its device, and the layers whose dW was divided by it already. Where the optimizers
        are not known, one that was unscaled stands for all."""
        scale = None if self._scaler is None or not self._scaler.is_enabled() else torch_private.scale_of(self._scaler)
        if self._scaler is None or scale is None:
            return 1.0, ()
        unscaled = torch_private.unscaled(self._scaler)
        held = self._updates.layers_of(unscaled) if self._updates is not None else set()
        return scale, held or ({layer.name for layer in self.layers} if unscaled else ())


def _close(listener: Listener, updates: Updates | None) -> None:
    listener.close()
    if updates is not None:
        updates.close()


def watch(
    model: nn.Module,
    every: str | int | Sequence[int] = "log",
    quantities: str = "all",
    scaler: "torch.amp.GradScaler | None" = None,
    optimizer: Any = None,
) -> Monitor:
    """Watches a model while it trains: a context manager; call its `step()` after each backward pass.

    `every` says which steps are recorded: a schedule as `probe.every` takes it (`log`, the default, is five steps a
    decade). `quantities="gradients"` measures dz and dW alone. The factor of a `scaler` is divided out. With an
    `optimizer`, or a list of them, what none of them updates is found, and the update after each recorded step is
    measured. Raises ValueError for other arguments, and Unsupported, a RuntimeError, for models that are watched or
    compiled already, sharded or scripted.
    """
    return Monitor(model, every, quantities, scaler, optimizer)
