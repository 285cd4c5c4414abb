"""A look at one batch, and a closer one: what only computing it once more can tell."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from torch import Tensor, nn

from vgexp.watching.hooks.calls import NARROW
from vgexp.watching.hooks.layers import bare, names_of, tensors
from vgexp.watching.hooks.refusals import Unsupported
from vgexp.watching.monitor import Monitor
from vgexp.watching.tracing.batches import outcome
from vgexp.watching.tracing.breaks import first_break
from vgexp.watching.tracing.cuts import Cut, constant_derivatives, cuts
from vgexp.watching.tracing.drops import drop
from vgexp.watching.tracing.extents import extent
from vgexp.watching.tracing.precision import SCALE, UNSCALED, comparison, in_float64, profile
from vgexp.watching.tracing.state import seed, untouched
from vgexp.watching.tracing.zeros import first_zero
from vgexp.watching.verdicts.evidence import Closer, Evidence
from vgexp.watching.verdicts.falls import fall_of

DRAWS = 8
"""Further passes in which what chance left out may run."""
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def look_closer(
    model: nn.Module, batch: Any, loss_fn: Callable[[Any, Any], Any] | None, evidence: Evidence, sound: bool
) -> Evidence:
    """The evidence of a batch, and what a closer look says. `sound`: whether the loss and all gradients were finite."""

    def run() -> Tensor:
        return outcome(model, batch, loss_fn).loss

    if sound and (left_out := by_chance(model, run, evidence)):
        kept = {name: why for name, why in evidence.disconnected.items() if name not in left_out}
        evidence = evidence._replace(disconnected=kept, skipped=left_out)
    broken = None if sound else first_break(model, run)
    with untouched(model):
        cut = cuts_of(model, run, list(evidence.disconnected)) if evidence.disconnected else {}
    zero = sound and any(row["dz_rms"] == 0 for row in evidence.rows)
    with untouched(model):
        zeroed = first_zero(run()) if zero else ""
    with untouched(model):
        constant = [cut.words for cut in constant_derivatives(model, run)] if evidence.others else []
    cliff, lost = fall_of(evidence).cliff, None
    if cliff is not None:
        ends = [(row["name"], row["call"]) for row in (cliff.above, cliff.below)]
        with untouched(model):
            lost = drop(model, run, *ends)
    closer = Closer(broken, cut, zeroed, lost, constant)
    low = next((row["dtype"] for row in evidence.rows if row["dtype"] in NARROW), None)
    if low is None:
        return evidence._replace(closer=closer)
    twin = in_float64(model, batch, loss_fn).problem
    if twin is None:
        return evidence._replace(closer=closer)
    lost_to_type = comparison(profile(model, batch, loss_fn), profile(*twin), low) or ""
    if "rounds" in lost_to_type:
        scaled = comparison(profile(model, batch, loss_fn, SCALE), profile(*twin, scale=SCALE), low) or ""
        lost_to_type += f"; {UNSCALED} {SCALE:g} too" if "to 0;" in scaled else ""
    double, finite_too = look(twin[0], lambda: outcome(*twin).loss)
    return evidence._replace(precision=lost_to_type, closer=closer._replace(double=double if finite_too else None))


def look(model: nn.Module, run: Callable[[], Tensor]) -> tuple[Evidence, bool]:
    """The evidence of one step of `run`, which computes the loss, and whether loss and gradients were finite."""
    with Monitor(model, every=1, through_time=True) as monitor, untouched(model):
        loss = run()
        if loss.requires_grad:
            loss.backward()
        sound = finite([loss, [parameter.grad for parameter in model.parameters()]])
        trainable = {name: p for name, p in bare(model).named_parameters() if p.requires_grad}
        ungraded = {id(p) for p in trainable.values() if p.grad is None}
        lost = [name for name, p in trainable.items() if id(p) in ungraded]
        with suppress(Unsupported):  # all weights may be used without their modules: parameters are accounted for
            monitor.step()
    evidence = next(iter(monitor.evidence()), None)
    if evidence is None:
        why = dict.fromkeys(names_of(trainable, ungraded), "the loss does not depend on it")
        evidence = Evidence(0, [], {}, why, [], unseen=True)
    idle = sum(isinstance(module, BATCH_NORMS) and not module.training for module in model.modules())
    evidence = evidence._replace(loss=float(loss.detach().real), idle_norms=idle)
    if len(lost) == len(trainable):  # then it is no matter of one module
        why = "the loss depends on none" if lost else "none requires a gradient"
        names = lost or [name for name, _ in bare(model).named_parameters()]
        evidence = evidence._replace(disconnected=dict.fromkeys(names, why), severed=True)
    return evidence, sound


def by_chance(model: nn.Module, run: Callable[[], Tensor], evidence: Evidence) -> list[str]:
    """What got no gradient, but does with other random numbers: LayerDrop leaves out whole layers."""
    left = [] if evidence.severed else list(evidence.disconnected)
    found, losses = list[str](), {evidence.loss}
    for draw in range(DRAWS if left else 0):
        if draw > 1 and len(losses) == 1:  # nothing is random
            break
        with untouched(model):
            seed(model, draw)
            loss = run()
            losses.add(float(loss.detach().real))
            if loss.requires_grad:  # chance may have left out all
                loss.backward()
            got = [name for name, parameter in bare(model).named_parameters() if parameter.grad is not None]
        found += [name for name in left if any(own == name or own.startswith(f"{name}.") for own in got)]
        left = [name for name in left if name not in found]
    return found


def finite(values: Any) -> bool:
    """Whether all floating-point tensors in nested values are finite."""
    return all(extent(x).finite for x in tensors(values))


def cuts_of(model: nn.Module, run: Callable[[], Tensor], names: Sequence[str]) -> Mapping[str, Cut]:
    """Where parameters leave the graph; a module is named for all that it has."""
    trainable = [name for name, parameter in bare(model).named_parameters() if parameter.requires_grad]
    members = {name: [p for p in trainable if p == name or p.startswith(f"{name}.")] for name in names}
    found = cuts(model, run, [parameter for own in members.values() for parameter in own])
    cut = {name: found[own[0]] for name, own in members.items() if own and own[0] in found}
    if cut and len(cut) == len(trainable) and "unused" not in {found[name].operation for name in trainable}:
        nearest = cut[trainable[-1]]  # all are lost at the place that is nearest to the loss
        return dict.fromkeys(cut, nearest)
    return cut
