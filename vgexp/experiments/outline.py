"""An outline of a plan: the stacks that would be computed and what they take, before anything is written."""

from vgexp.costs import si
from vgexp.costs.forecast import flops
from vgexp.costs.memory import need
from vgexp.data import dataset
from vgexp.experiments.plan import Plan
from vgexp.experiments.stacks import Job


def outline(todo: Plan) -> str:
    """The folder, how many runs are done, and a line for each stack: its structure, its members, the least memory that
    it takes, and the FLOPs of its updates without what is recorded. Time is not said: it depends on what else runs.
    """
    done = len(todo.runs) - sum(len(job.runs) for job in todo.jobs)
    stacks = f"{len(todo.jobs)} stack{'' if len(todo.jobs) == 1 else 's'}"
    lines = [f"{todo.folder}: {len(todo.runs)} run{'' if len(todo.runs) == 1 else 's'}, {done} already done, {stacks}"]
    rows = [_row(job) for job in todo.jobs]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        lines.append("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    lines += [f"  left out: {grid}: {why}" for grid, why in todo.left_out.items()]
    return "\n".join(lines)


def _row(job: Job) -> tuple[str, str, str, str, str]:
    """What a line has of a stack."""
    run, members = job.runs[0], len(job.runs)
    data = dataset(run.data)
    updates = run.steps * members * sum(flops(run, data.inputs, data.classes))
    model = run.model
    return (
        f"{model.family} {model.activation} {model.depth} x {model.width}, {run.data.name}, {run.optim.name}",
        f"{members} member{'' if members == 1 else 's'}",
        f"{run.steps} steps",
        f"at least {si(need(run, data).of(members), 'B')}",
        f"{si(updates, 'FLOP')}",
    )
