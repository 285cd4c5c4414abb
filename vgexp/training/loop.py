"""Training of one stack: observe, then update.

Legend: M members, B batch, I inputs.
"""

import sys
from collections.abc import Callable, Sequence
from operator import attrgetter

from torch import Tensor

from vgexp.config import FIELDS, Run, counted, schedule
from vgexp.costs import ledger
from vgexp.data import dataset
from vgexp.networks import weight_bytes
from vgexp.networks.identity import identity
from vgexp.results.writing import Store
from vgexp.training.evaluation import error, evaluate
from vgexp.training.interruption import Interrupted
from vgexp.training.memory import Peak, return_freed_memory
from vgexp.training.observations import SIGNALS
from vgexp.training.probes import Probe
from vgexp.training.progress import Progress
from vgexp.training.records import Records
from vgexp.training.saves import Saves
from vgexp.training.stack import Stack, torch_device
from vgexp.training.threads import threads_of

NAMED = 8
"""Members that diverged and are named."""
STRICT_BYTES = 4 * 10**8
"""Bytes of weights from which a low-memory mode is strict about memory."""


def never() -> bool:
    """The answer to whether to stop, where nobody can ask for it."""
    return False


def train(runs: Sequence[Run], store: Store, stopped: Callable[[], bool] = never) -> None:
    """Trains one stack to its end, saving once a minute; takes it up where an interrupted one was.

    T steps give T + 1 observations: step 0 is the network at initialisation, step T is observed and not updated.
    Raises Interrupted, everything saved, once it is `stopped`, which is asked after every step.
    """
    prepare(runs)
    with threads_of(runs):
        _train(runs, store, stopped)


def _train(runs: Sequence[Run], store: Store, stopped: Callable[[], bool]) -> None:
    training = Training(runs, store)
    with training.saves.logged():
        training.save()
        with Progress(describe(runs), runs[0].steps, training.updates) as progress:
            while not training.done:
                loss_M = training.observe_and_update()
                progress.advance(training.updates, loss_M)
                if stopped() and not training.done:
                    training.save()
                    raise Interrupted
                if training.saves.due(training.records):
                    training.save()
        training.save("done")
    if said := diverged(training.stack):
        print(f"{describe(runs)}: {said}", file=sys.stderr, flush=True)
    if stopped():
        raise Interrupted


class Training:
    """A stack in training: who looks at it, and what they saw."""

    def __init__(self, runs: Sequence[Run], store: Store) -> None:
        peak = Peak(torch_device(runs[0].device))
        self.run, self.stack = runs[0], Stack(runs)
        self.probe = Probe(self.run, self.stack.network, self.stack.optimizer)
        self.evaluated = schedule(self.run.eval.every, self.run.steps)
        costs = None
        if self.run.probe.tier == "cost":
            costs = ledger(self.stack.network, *self.stack.stream.batch(0), self.stack.new_optimizer)
        self.saves = Saves(self.stack, store, costs.totals() if costs else {}, peak)
        self.step = self.saves.restore()
        parts = self.stack.network.parts
        self.records = Records(
            runs=[identity(run) for run in runs],
            weights={key: part.tensors["weight"][0].numel() for key, part in parts.items()},
            rates=self.stack.optimizer.rates.of_weights,
            batch_size=self.run.data.batch_size,
            costs=costs.parts if costs else {},
        )

    @property
    def done(self) -> bool:
        return self.step > self.run.steps

    @property
    def updates(self) -> int:
        """Updates so far: the last step is only observed."""
        return min(self.step, self.run.steps)

    def observe_and_update(self) -> Tensor:
        """One step: the batch's loss (M,)."""
        step, last = self.step, self.step == self.run.steps
        x_MBI, y_MB = self.stack.stream.batch(step)
        target = self.stack.target(y_MB, step)
        measured = evaluate(self.stack) if self.evaluated(step) else {}
        if self.probe.due(step):
            observation = self.probe.observe(step)
            if self.probe.on == "monitor":
                x_monitor, y_monitor = self.stack.stream.monitor()
                observation.look_at(SIGNALS)
                self.stack.backpropagate(x_monitor, self.stack.target(y_monitor, step), observation, None)
                observation.look_at(frozenset({"dw"}))
            loss_M, z_MBC = self.stack.observed_step(x_MBI, target, observation, update=not last)
            measured |= {"train_loss": loss_M, "train_error": error(z_MBC, y_MB)}
            self.records.observe(observation)
        else:
            loss_M = self.stack.step(x_MBI, target, update=not last)
        if measured:
            self.records.step(step, **measured)
        self.step += 1
        return loss_M

    def save(self, status: str = "running") -> None:
        self.saves.save(self.step, self.records, status)


def prepare(runs: Sequence[Run]) -> None:
    """What a network that is to need little memory asks of the allocator."""
    run = runs[0]
    data = dataset(run.data)
    if run.memory != "store" and len(runs) * weight_bytes(run, data.inputs, data.classes, slots=0) > STRICT_BYTES:
        return_freed_memory()


def describe(runs: Sequence[Run]) -> str:
    """A stack in a few words."""
    model = runs[0].model
    return f"{model.activation} {model.depth} x {model.width}, {counted(len(runs), 'run')}"


def diverged(stack: Stack) -> str:
    """Which members diverged and at which step, in one line; empty where none did.

    Members are named by the fields in which those of the stack differ.
    """
    apart = [
        key for key, known in FIELDS.items() if known.member and len({attrgetter(key)(run) for run in stack.runs}) > 1
    ]
    steps = stack.diverged_at_M.tolist()
    found = [
        " ".join([*(f"{key}={attrgetter(key)(run)}" for key in apart), f"at step {step}"])
        for run, step in zip(stack.runs, steps, strict=True)
        if step >= 0
    ]
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{len(found)} of {len(steps)} diverged: {'; '.join(found[:NAMED])}{more}" if found else ""
