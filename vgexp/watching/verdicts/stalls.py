"""Stalls: parameters that have a gradient and are not updated, or not by it."""

from collections.abc import Sequence

from vgexp.watching.verdicts.evidence import Evidence
from vgexp.watching.verdicts.findings import Finding, span
from vgexp.watching.verdicts.remedies import advice


def not_updated(steps: Sequence[Evidence]) -> list[Finding]:
    """What the last of some recorded steps says of updates. A learning rate counts as 0, and gradients as never
    cleared, if that was so in all of them, the first step of a training aside: nothing was left over there."""
    last, later = steps[-1], [step for step in steps if step.step > 0]
    if last.holdings is None:
        found, unheld = _unmoved(last), list(last.unmoved)
    else:
        missing, replaced, stopped = last.holdings
        found = [*_missing(missing), *_replaced(replaced)]
        for group, names in stopped.items():
            if all(step.holdings is not None and group in step.holdings.stopped for step in steps):
                found.append(_stopped(group, names))
        unheld = missing + replaced
    piled = [name for name in last.leftover if all(name in step.leftover for step in later)]
    return [*found, *_piled([name for name in piled if name not in unheld])]  # an optimizer clears what it holds


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _missing(names: list[str]) -> list[Finding]:
    if not names:
        return []
    words = f"{span(names)} {_has(names)} a gradient and {_is(names)} in no optimizer"
    help_ = "hand all of model.parameters() to the optimizer, or what is missing by optimizer.add_param_group"
    return [Finding("not_updated", names, words, advice(help_))]


def _replaced(names: list[str]) -> list[Finding]:
    if not names:
        return []
    words = (
        f"{span(names)} {_has(names)} a gradient and {_is(names)} in no optimizer, which holds tensors of that shape "
        "that the model does not have: the model was copied, or they were replaced, after the optimizer was made"
    )
    return [Finding("not_updated", names, words, advice("make the optimizer after the last change of the model"))]


def _stopped(group: str, names: list[str]) -> Finding:
    words = f"the learning rate of {group} is 0: {span(names)} {_has(names)} a gradient and {_is(names)} not updated"
    help_ = "give the group a learning rate, or freeze what is in it; where a warm-up begins at 0, look again later"
    return Finding("not_updated", names, words, advice(help_))


def _unmoved(last: Evidence) -> list[Finding]:
    graded = {row["name"] for row in last.rows if not row["frozen"] and row["dw_rms"] > 0}
    names = [name for name in last.unmoved if name in graded]
    if not names:
        return []
    words = (
        f"the weights of {span(names)} are bit for bit those of step {last.unmoved[names[0]]}, "
        f"although a gradient comes and those of other layers change"
    )
    help_ = "hand all of model.parameters() to the optimizer; watch(model, optimizer=optimizer) says what it holds"
    return [Finding("not_updated", names, words, advice(help_))]


def _piled(names: list[str]) -> list[Finding]:
    if not names:
        return []
    words = f"gradients are not cleared: those of {span(names)} are sums over this step and steps before"
    help_ = "optimizer.zero_grad() in every step; where gradients are accumulated, monitor.step() once an update"
    return [Finding("not_updated", names, words, advice(help_))]
