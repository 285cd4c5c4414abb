"""An outline of a plan: the stacks that would be computed and what they take, before anything is written."""

import time
from collections.abc import Sequence

from vgexp.config import counted
from vgexp.costs import si
from vgexp.costs.forecast import flops
from vgexp.costs.memory import need
from vgexp.data import dataset
from vgexp.experiments.jobs import Job
from vgexp.experiments.plan import Plan
from vgexp.results.durations import spoken
from vgexp.results.status import judged_rows
from vgexp.training.trial import Trial, step_trial

TRIED_SECONDS = 10.0
"""No stack is tried after this; the others are compared with those that were, by their FLOPs."""


def outline(todo: Plan) -> str:
    """The folder, how many runs are done, and a line for each stack: its structure, its members, the least memory that
    it takes, and the FLOPs and the time of the updates that are left, without what is recorded; then the time of all,
    one after the other and, where the launcher runs several at once, as many at a time.

    The time is that of a few steps, tried here and now: it is longer where more runs beside it.
    """
    done = len(todo.runs) - sum(len(job.runs) for job in todo.jobs)
    runs, stacks = counted(len(todo.runs), "run"), counted(len(todo.jobs), "stack")
    lines = [f"{todo.folder}: {runs}, {done} already done, {stacks}"]
    reached = _reached(todo)
    left = [job.runs[0].steps - step for job, step in zip(todo.jobs, reached, strict=True)]
    updates = [_flops(*row) for row in zip(todo.jobs, left, strict=True)]
    trials, tried = _trials(todo.jobs, left, updates)
    rows = [_row(*row) for row in zip(todo.jobs, reached, updates, trials, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        lines.append("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    if trials:
        total = Trial(*map(sum, zip(*trials, strict=True)))
        at_once = min(todo.jobs[0].runs[0].jobs or 1, len(trials))
        beside = f", {_about(side_by_side(trials, at_once))} with {at_once} at a time" if at_once > 1 else ""
        lines.append(
            f"  {_about(total)} of updates, one stack after the other{beside}, without what is recorded: {tried}"
        )
    lines += [f"  left out: {grid}: {why}" for grid, why in todo.left_out.items()]
    return "\n".join(lines)


def side_by_side(trials: Sequence[Trial], at_once: int) -> Trial:
    """The seconds of stacks of which some are computed at once, handed out in their order.

    >>> side_by_side([Trial(3, 2, 4), Trial(1, 1, 1), Trial(1, 1, 1)], 2)
    Trial(median=3, low=2, high=4)
    """
    workers = [Trial(0, 0, 0)] * at_once
    for trial in trials:
        first = workers.index(min(workers))
        workers[first] = Trial(*map(sum, zip(workers[first], trial, strict=True)))
    return Trial(*map(max, zip(*workers, strict=True)))


def _reached(todo: Plan) -> list[int]:
    """The step from which each stack goes on: above 0 where it was interrupted and has left a state."""
    states = {path.stem for path in (todo.folder / "state").glob("*.pt")}
    running = {
        run: row["step"] or 0
        for run, row in judged_rows(todo.folder, {}, None).items()
        if row["status"] == "running" and row["stack"] in states and run not in todo.again
    }
    return [min(running.get(run, 0) for run in job.ids()) for job in todo.jobs]


def _flops(job: Job, left: int) -> int:
    """FLOPs of the updates that a stack has left."""
    run = job.runs[0]
    data = dataset(run.data)
    return left * len(job.runs) * sum(flops(run, data.inputs, data.classes))


def _trials(jobs: Sequence[Job], left: Sequence[int], updates: Sequence[int]) -> tuple[list[Trial], str]:
    """The seconds of the updates that each stack has left, and how they are known."""
    began, found = time.monotonic(), []
    for job, steps in zip(jobs, left, strict=True):
        if found and time.monotonic() - began > TRIED_SECONDS:
            break
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


def _row(job: Job, reached: int, updates: int, trial: Trial) -> tuple[str, ...]:
    """What a line has of a stack."""
    run, members = job.runs[0], len(job.runs)
    model = run.model
    return (
        f"{model.family} {model.activation} {model.depth} x {model.width}, {run.data.name}, {run.optim.name}",
        counted(members, "member"),
        counted(run.steps, "step") + (f", {reached} done" if reached else ""),
        f"at least {si(need(run, dataset(run.data)).of(members), 'B')}",
        f"{si(updates, 'FLOP')}",
        _about(trial),
    )
