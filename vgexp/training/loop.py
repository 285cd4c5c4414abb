"""Training of one stack: observe, then update.

Legend: M members, B batch, K examples, C outputs.
"""

import ctypes
import dataclasses
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from vgexp.config import Run, identity, schedule
from vgexp.costs import Costs, ledger
from vgexp.data import Stream, dataset
from vgexp.networks import LOSSES, OPTIMIZERS, Linear, Observer, Sgd, Update, build, weight_bytes
from vgexp.results import Store, export_runs, runs_frame, stack_id
from vgexp.training.probes import SIGNALS, Probe
from vgexp.training.progress import Progress
from vgexp.training.provenance import provenance
from vgexp.training.records import Records

CHECKPOINT_SECONDS = float(os.environ.get("VGEXP_CHECKPOINT_SECONDS", "60"))
EVALUATED_AT_ONCE = 1000
LARGE = 4 * 10**8
"""Bytes of weights from which a low-memory mode is strict about memory."""
M_MMAP_THRESHOLD = -3
"""glibc's name for: blocks from this size on are mapped, and unmapped when freed."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: the step was finished and everything saved."""


class Training:
    """A stack in training: everything that changes from step to step."""

    def __init__(self, runs: Sequence[Run], store: Store) -> None:
        self.runs, self.store, self.stack = runs, store, stack_id(runs)
        self.run = runs[0]
        self.device = torch_device(self.run.device)
        self.stream = Stream(self.run.data, [run.seed for run in runs], getattr(torch, self.run.dtype), self.device)
        data = self.stream.data
        self.network = build(runs, data.inputs, data.classes, self.device)
        self.optimizer = self._optimizer(self.network.layers)
        self.probe = Probe(self.run, self.network, self.optimizer)
        self.evaluated = schedule(self.run.eval.every, self.run.steps)
        self.diverged_at_M = torch.full((len(runs),), -1, device=self.device)
        self.step, self.seconds, self.started = 0, 0.0, time.time()
        tables = self._resume()
        self.exported = self.step
        parameters = {layer.index: layer.weight_MIO[0].numel() for layer in self.network.layers}
        lr = [run.optim.lr for run in runs]
        self.costs = self._costs()
        layers = self.costs.layers if self.costs else {}
        batch_size = self.run.data.batch_size
        self.records = Records([identity(run) for run in runs], parameters, lr, batch_size, layers, tables)

    def observe_and_update(self) -> Tensor:
        """One step: the batch's loss (M,). The last step is observed only."""
        step, last = self.step, self.step == self.run.steps
        x_MBI, y_MB = self.stream.batch(step)
        measured = self.evaluate() if self.evaluated(step) else {}
        observation = self.probe.observe(step) if self.probe.due(step) else None
        if observation is not None and self.probe.on == "monitor":
            observation.look_at(SIGNALS)
            self.backpropagate(*self.stream.monitor(), observation, None)
            observation.look_at(frozenset({"dw"}))
        self.optimizer.advance()
        update = None if last else self.optimizer
        loss_M, z_MBC = self.backpropagate(x_MBI, y_MB, observation, update)
        fresh_M = (self.diverged_at_M < 0) & ~torch.isfinite(loss_M)
        self.diverged_at_M = torch.where(fresh_M, step, self.diverged_at_M)
        if observation is not None:
            measured |= {"train_loss": loss_M, "train_error": error(z_MBC, y_MB)}
            self.records.observe(observation)
        if measured:
            self.records.step(step, **measured)
        self.step += 1
        return loss_M

    def backpropagate(
        self, x_MBI: Tensor, y_MB: Tensor, observer: Observer | None, update: Update | None
    ) -> tuple[Tensor, Tensor]:
        """Forward and backward of one batch, updating on the way down. The mean loss (M,) and the outputs."""
        z_MBC = self.network(x_MBI, observer, update)
        target = y_MB
        if self.run.loss == "cotangent":
            target = self.stream.cotangent(self.step, *z_MBC.shape[1:])
        loss_MB = LOSSES[self.run.loss](z_MBC, target)
        loss_MB.sum().backward()
        return loss_MB.detach().mean(1), z_MBC.detach()

    @torch.no_grad()
    def evaluate(self) -> dict[str, Tensor]:
        """Loss and error rate (M,) on the validation and the test set; with cotangents the error alone."""
        measured = {}
        for name, (x_1KI, y_1K) in (("valid", self.stream.valid()), ("test", self.stream.test())):
            losses, errors = [], []
            for x, y in zip(x_1KI.split(EVALUATED_AT_ONCE, 1), y_1K.split(EVALUATED_AT_ONCE, 1), strict=True):
                z_MKC = self.network(x.expand(len(self.runs), -1, -1))
                y_MK = y.expand(len(self.runs), -1)
                errors.append(error(z_MKC, y_MK) * y.shape[1])
                if self.run.loss != "cotangent":
                    losses.append(LOSSES[self.run.loss](z_MKC, y_MK).sum(1))
            if losses:
                measured[f"{name}_loss"] = torch.stack(losses).sum(0) / y_1K.shape[1]
            measured[f"{name}_error"] = torch.stack(errors).sum(0) / y_1K.shape[1]
        return measured

    def save(self, status: str = "running", message: str = "") -> None:
        """Tables first, then the state: a state never knows more than the tables."""
        tables = self.records.tables()
        self.store.write(self.stack, tables, self._runs_rows(tables, status, message))
        if self.run.logger == "tensorboard":
            export_runs(self.store.folder / "tensorboard", tables, self.exported)
            self.exported = self.step
        if status == "running":
            self.store.save_state(self.stack, self._state())
        else:
            self.store.drop_state(self.stack)

    def _optimizer(self, layers: list[Linear]) -> Sgd:
        fields = [field.name for field in dataclasses.fields(self.run.optim) if field.name != "name"]
        device = layers[0].weight_MIO.device
        numbers = {
            name: torch.tensor(
                [getattr(run.optim, name) for run in self.runs], dtype=torch.float64, device=device
            ).view(-1, 1, 1)
            for name in fields
        }
        return OPTIMIZERS[self.run.optim.name](numbers, layers, self.run.data.batch_size)

    def _costs(self) -> Costs | None:
        if self.run.probe.tier != "cost":
            return None
        return ledger(self.network, *self.stream.batch(0), self._optimizer)

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "started": self.started,
            "diverged_at": self.diverged_at_M,
            "weights": [layer.weight_MIO.detach() for layer in self.network.layers],
            "biases": [layer.bias_M1O for layer in self.network.layers],
            "optimizer": self.optimizer.state,
        }

    def _resume(self) -> dict[str, pd.DataFrame]:
        """Takes up an interrupted training of the same stack. Returns its tables up to where it was."""
        state = self.store.load_state(self.stack)
        if state is None:
            return {}
        self.step, self.seconds, self.started = state["step"], state["seconds"], state["started"]
        self.diverged_at_M = state["diverged_at"].to(self.device)
        with torch.no_grad():
            for layer, weight, bias in zip(self.network.layers, state["weights"], state["biases"], strict=True):
                layer.weight_MIO.copy_(weight)
                layer.bias_M1O.copy_(bias)
            for index, slots in self.optimizer.state.items():
                for name, tensor in slots.items():
                    tensor.copy_(state["optimizer"][index][name])
        tables = self.store.load_tables(self.stack)
        return {name: table[table["step"] < self.step] for name, table in tables.items()}

    def _runs_rows(self, tables: dict[str, pd.DataFrame], status: str, message: str) -> pd.DataFrame:
        diverged = [None if step < 0 else step for step in self.diverged_at_M.tolist()]
        final = pd.DataFrame({"run": self.records.runs})
        if "steps" in tables:
            columns = [c for c in map(str, tables["steps"]) if c.startswith(("train_", "valid_", "test_"))]
            at_end = tables["steps"].groupby("run")[columns].last().add_prefix("final_")
            final = final.join(at_end, on="run")
        return runs_frame(
            self.runs,
            self.stack,
            status=status,
            message=message,
            step=self.step,
            diverged_at=pd.array(diverged, dtype="Int64"),
            seconds=self.seconds / len(self.runs),
            started=self.started,
            peak_bytes=peak_bytes(self.device),
            **(self.costs.totals() if self.costs else {}),
            **provenance(self.device),
            **{str(column): final[column].to_numpy() for column in final if column != "run"},
        )


def train(runs: Sequence[Run], store: Store) -> None:
    """Trains one stack to its end, saving once a minute; takes it up where an interrupted one was.

    Raises Interrupted after Ctrl-C or SIGTERM, everything saved. Whatever else goes wrong is recorded as
    `failed`.
    """
    run = runs[0]
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    data = dataset(run.data)
    if run.memory != "store" and len(runs) * weight_bytes(run, data.inputs, data.classes, slots=0) > LARGE:
        return_freed_memory()
    training = Training(runs, store)
    training.save()
    saved = time.monotonic()
    with stop_requests() as stopped, Progress(describe(runs), run.steps + 1, training.step) as progress:
        began, before = time.monotonic(), training.seconds
        while training.step <= run.steps:
            loss_M = training.observe_and_update()
            progress.advance(training.step, loss_M)
            training.seconds = before + time.monotonic() - began
            if stopped() and training.step <= run.steps:
                training.save()
                raise Interrupted
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                training.save()
                saved = time.monotonic()
    training.save("done")


def error(z_MBC: Tensor, y_MB: Tensor) -> Tensor:
    """Fraction of examples whose largest output is not the target's, (M,)."""
    return (z_MBC.argmax(-1) != y_MB).mean(1, dtype=torch.float64)


def torch_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def peak_bytes(device: torch.device) -> int:
    """Peak memory: of CUDA's allocator on a GPU, of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def return_freed_memory() -> None:
    """Makes glibc give freed blocks back to the system, which by default it keeps: a step that is to need little memory
    would otherwise hold twice as much. Costs time, hence for large networks only; does nothing without glibc."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 16)


def describe(runs: Sequence[Run]) -> str:
    """A stack in a few words."""
    model = runs[0].model
    members = f"{len(runs)} runs" if len(runs) > 1 else "1 run"
    return f"{model.activation} {model.depth} x {model.width}, {members}"


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turns SIGINT and SIGTERM into a question that can be asked between two steps; a second Ctrl-C is
    immediate."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where no handler can be set
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
