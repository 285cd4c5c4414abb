"""An outline of a plan: the stacks that would be computed and what they take, before anything is written."""

import time
from collections.abc import Sequence

from vgexp.costs import si
from vgexp.costs.forecast import flops
from vgexp.costs.memory import need
from vgexp.data import dataset
from vgexp.experiments.plan import Plan
from vgexp.experiments.stacks import Job
from vgexp.results.durations import spoken
from vgexp.training.trial import Trial, step_trial

TRIED_SECONDS = 10.0
"""No stack is tried after this; the others are compared with those that were, by their FLOPs."""


def outline(todo: Plan) -> str:
    """The folder, how many runs are done, and a line for each stack: its structure, its members, the least memory that
    it takes, and the FLOPs and the time of its updates without what is recorded; then the time of all.

    The time is that of a few steps, tried here and now: it is longer where more runs beside it.
    """
    done = len(todo.runs) - sum(len(job.runs) for job in todo.jobs)
    stacks = f"{len(todo.jobs)} stack{'' if len(todo.jobs) == 1 else 's'}"
    lines = [f"{todo.folder}: {len(todo.runs)} run{'' if len(todo.runs) == 1 else 's'}, {done} already done, {stacks}"]
    updates = [_flops(job) for job in todo.jobs]
    trials, tried = _trials(todo.jobs, updates)
    rows = [_row(*row) for row in zip(todo.jobs, updates, trials, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        lines.append("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    if trials:
        total = Trial(*map(sum, zip(*trials, strict=True)))
        lines.append(f"  {_about(total)} of updates, one stack after the other, without what is recorded: {tried}")
    lines += [f"  left out: {grid}: {why}" for grid, why in todo.left_out.items()]
    return "\n".join(lines)


def _flops(job: Job) -> int:
    """FLOPs of all updates of a stack."""
    run = job.runs[0]
    data = dataset(run.data)
    return run.steps * len(job.runs) * sum(flops(run, data.inputs, data.classes))


def _trials(jobs: Sequence[Job], updates: Sequence[int]) -> tuple[list[Trial], str]:
    """The seconds of the updates of each stack, and how they are known."""
    began, found = time.monotonic(), []
    for job in jobs:
        if found and time.monotonic() - began > TRIED_SECONDS:
            break
        steps = job.runs[0].steps
        found.append(step_trial(job.runs).times(steps) if steps else Trial(0, 0, 0))
    count, rates = len(found), [trial.times(1 / n) for trial, n in zip(found, updates, strict=False) if n]
    if count == len(jobs):
        return found, "by a few steps of each, tried here"
    medians, lows, highs = zip(*rates, strict=True) if rates else ([0.0], [0.0], [0.0])
    rate = Trial(sorted(medians)[len(medians) // 2], min(lows), max(highs))
    found += [rate.times(n) for n in updates[count:]]
    return found, f"by a few steps of the first {count}, tried here, and by the FLOPs of the others"


def _about(trial: Trial) -> str:
    median, low, high = map(spoken, trial)
    return f"about {median}" + ("" if low == high else f" ({low} to {high})")


def _row(job: Job, updates: int, trial: Trial) -> tuple[str, ...]:
    """What a line has of a stack."""
    run, members = job.runs[0], len(job.runs)
    model = run.model
    return (
        f"{model.family} {model.activation} {model.depth} x {model.width}, {run.data.name}, {run.optim.name}",
        f"{members} member{'' if members == 1 else 's'}",
        f"{run.steps} steps",
        f"at least {si(need(run, dataset(run.data)).of(members), 'B')}",
        f"{si(updates, 'FLOP')}",
        _about(trial),
    )
