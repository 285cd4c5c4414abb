"""The same instruments on anybody's model: `with vgexp.watch(model) as monitor: ...`.

A layer is a module that owns a parameter of two or more dimensions; each of its calls is a row, in the order of
execution. z is the first tensor that the call puts out, dz the gradient with respect to it. Hooks bring both (see
listener); weights and their gradients are read in `step()`.
"""

from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pandas as pd
import torch
from torch import Tensor, nn

from vgexp.config import ACCEPTS, schedule
from vgexp.numerics import torch_private
from vgexp.watching.diagnosis import Detail, Diagnosis, Observed, judge
from vgexp.watching.listener import Listener, Unsupported
from vgexp.watching.sheets import HEAD, NOWHERE, NUMBERS, Sheet
from vgexp.watching.sightings import Amount, Call, Convolution, Layer, reduce

if TYPE_CHECKING:
    from vgexp.figures import Picture

FOREVER = 10**9
"""Steps that a schedule of unknown length reaches."""
RECENT = 3
"""Recorded steps that the diagnosis looks at: a unit is silent if it was in all of them."""


class Monitor:
    """Hooks in a model, and the numbers they brought: one row a recorded step and call of a layer."""

    def __init__(
        self,
        model: nn.Module,
        every: str | int | Sequence[int] = "log",
        quantities: str = "all",
        scaler: "torch.amp.GradScaler | None" = None,
    ) -> None:
        try:
            self._due = schedule(every, FOREVER)
        except ValueError:
            raise ValueError(f"every: got {every!r}, accepts {ACCEPTS}") from None
        if quantities not in ("all", "gradients"):
            raise ValueError(f"quantities: got {quantities!r}, accepts all, gradients")
        self._listener = Listener(model, everything=quantities == "all")
        self.model, self.layers, self._scaler = model, self._listener.layers, scaler
        self._step = 0
        self._sheets: list[Sheet] = []
        self._recent: deque[tuple[Sheet, list[Call], list[str]]] = deque(maxlen=RECENT)
        self._listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes every hook out of the model. The records stay."""
        self._listener.close()
        self._due = lambda step: False

    def step(self) -> None:
        """Records the step if it is due. To be called after the backward pass, before gradients are clipped, unscaled,
        used or cleared; once an optimizer step when gradients are accumulated."""
        if self._due(self._step):
            self._record()
        self._listener.forget()
        self._step += 1
        self._listen()

    def _listen(self) -> None:
        """Hooks the model if the coming step is due, and only then."""
        if self._due(self._step):
            self._listener.listen()
        else:
            self._listener.silence()

    def frame(self) -> pd.DataFrame:
        """One row a recorded step and call of a layer: the columns are explained in docs/watch.md."""
        rows = [row for sheet in self._sheets for row in sheet.rows()]
        frame = pd.DataFrame(rows, columns=["step", *HEAD, *NUMBERS])
        whole = dict.fromkeys(("step", "layer", "call"), "int64")
        return frame.astype(whole | {"frozen": "bool"} | dict.fromkeys(NUMBERS, "float64"))

    def diagnosis(self, trouble: tuple[str, str] | None = None) -> Diagnosis:
        """What the last recorded steps say; `trouble`, if known, is where something first was not a number, and how.
        Raises RuntimeError before anything was recorded."""
        if not self._recent:
            raise RuntimeError("nothing is recorded yet: call step() after a backward pass")
        observed = [self._explain(*recent) for recent in self._recent]
        if trouble is not None:
            observed[-1] = observed[-1]._replace(trouble=trouble)
        return judge(observed)

    def coverage(self) -> pd.DataFrame:
        """One row a layer of the model: how often it was called in the last recorded step, and why if never."""
        last = self._explain(*self._recent[-1]) if self._recent else Observed(-1, [], [], {}, {}, [])
        calls = Counter(row["name"] for row in last.rows)
        rows = [(layer.name, layer.kind, calls[layer.name], last.absent.get(layer.name, "")) for layer in self.layers]
        return pd.DataFrame(rows, columns=["name", "module", "calls", "why"])

    def plot(self) -> "Picture":
        """Gradient and preactivation against depth, a line a recorded step."""
        from vgexp.figures import watched

        return watched(self.frame())

    def save(self, path: str | Path) -> Path:
        """Writes the frame as .parquet or .csv, or the diagnosis as .json."""
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
        """Writes every number of the frame as a scalar `column/layer` into an event file in `folder`."""
        from vgexp.results import export

        export(Path(folder), self.frame(), key="name")
        return Path(folder)

    # Records.

    def _record(self) -> None:
        calls = self._listener.calls()
        if not calls:
            if any(weight.grad is not None for layer in self.layers for weight in layer.weights):
                raise Unsupported(
                    "the weights have gradients, but no layer was seen to run: the model was compiled before it was "
                    "watched (watch it first), or its weights are used without its modules being called"
                )
            return
        for call in calls:
            for activity in call.activities:
                reduce(activity)
        everything = self._listener.everything
        dw, w = [Amount() for _ in self.layers], [Amount() for _ in self.layers if everything]
        for layer, amount in zip(self.layers, dw, strict=True):
            for weight in layer.weights:
                if weight.grad is not None and not layer.tied:
                    amount.add(weight.grad)
        for layer, amount in zip(self.layers, w, strict=False):
            for weight in layer.weights:
                amount.add(weight)
        first: dict[Layer, int] = {}
        heads, parts = [], []
        for row, call in enumerate(calls):
            layer = call.layer
            first.setdefault(layer, row)
            heads.append((row + 1, layer.name, call.number, layer.kind, call.activation, layer.frozen))
            parts += call.parts(row)
        for column, amounts in (("w_rms", w), ("dw_rms", dw)):
            for layer, amount in zip(self.layers, amounts, strict=False):
                parts.append((first.get(layer, NOWHERE), column, amount.norms, amount.entries))
        sheet = Sheet(self._step, tuple(heads), parts, *self._scale())
        if self._sheets:
            sheet.share(self._sheets[-1])
        self._sheets.append(sheet)
        blocked = 0.0 in sheet.values[len(sheet.values) - sum(len(amount.norms) for amount in dw) :]
        self._recent.append((sheet, calls, self._closed_gates() if blocked else []))

    def _scale(self) -> tuple[list[float | Tensor], tuple[str, ...]]:
        """The scaler's factor, where it is, and the columns that it is in: not dW's, if that was unscaled already."""
        if self._scaler is None or not self._scaler.is_enabled():
            return [], ()
        scale = torch_private.scale_of(self._scaler)
        columns = ("dz_rms",) if torch_private.is_unscaled(self._scaler) else ("dz_rms", "dw_rms")
        return [] if scale is None else [scale], columns

    def _explain(self, sheet: Sheet, calls: list[Call], gates: list[str]) -> Observed:
        """A sheet with what the diagnosis has to know beside its rows."""
        absent, disconnected = {}, {}
        dw = dict(zip((layer.name for layer in self.layers), sheet.column("dw_rms"), strict=True))
        for layer in self.layers:
            own = [call for call in calls if call.layer is layer]
            has_gradient = dw[layer.name] > 0 or layer.tied != ""
            if any(call.reached for call in own) or (own and layer.frozen):
                continue
            if not own:
                why = "its weights are used without calling it" if has_gradient else "never called"
            elif has_gradient:
                why = "no gradient through its first output, though there is one to its weights"
            elif any(call.hooked for call in own):
                why = "called, but no loss depends on what it put out"
            else:
                why = "called without a graph (no_grad or detach)"
            absent[layer.name] = why
            if not (layer.frozen or has_gradient):
                disconnected[layer.name] = why
        details = [
            Detail(
                call.smallest,
                [torch.as_tensor(a.silent_N).cpu().numpy() for a in call.activities if a.silent_N is not None],
                [torch.as_tensor(a.always_N).cpu().numpy() for a in call.activities if a.always_N is not None],
                fan_in(call.layer),
            )
            for call in calls
        ]
        return Observed(sheet.step, sheet.rows(), details, absent, disconnected, gates)

    def _closed_gates(self) -> list[str]:
        """Parameters that are 0 and have a gradient, biases aside: what they multiply starts closed."""
        return [
            name
            for name, p in self.model.named_parameters()
            if p.grad is not None and not name.endswith("bias") and not p.any() and bool(p.grad.any())
        ]


def fan_in(layer: Layer) -> int:
    """Inputs of one unit, where a layer is of the kind for which theory has a scale; else 0."""
    if not isinstance(layer.module, nn.Linear | Convolution) or not layer.weights:
        return 0
    return layer.weights[0][0].numel()


def watch(
    model: nn.Module,
    every: str | int | Sequence[int] = "log",
    quantities: str = "all",
    scaler: "torch.amp.GradScaler | None" = None,
) -> Monitor:
    """Watches a model while it trains: a context manager whose `step()` goes after each backward pass.

    `every` says which steps are recorded, in the words of `probe.every` (default `log`: five a decade); `quantities`
    `gradients` leaves out everything that is not a gradient; a `scaler`'s factor is divided out. Raises Unsupported, a
    RuntimeError, for models that are watched or compiled already, sharded or scripted.
    """
    return Monitor(model, every, quantities, scaler)
