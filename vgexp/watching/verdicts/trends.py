"""What the fall of a gradient says: a cliff, vanishing or exploding, as a whole, in one branch or through time."""

from collections.abc import Callable, Sequence

from vgexp.results import verdict
from vgexp.watching.hooks.graph import NORMS
from vgexp.watching.tracing.drops import Drop
from vgexp.watching.verdicts.evidence import Evidence, Row
from vgexp.watching.verdicts.falls import Cliff, Fall, graded
from vgexp.watching.verdicts.findings import Finding, change, unique, where
from vgexp.watching.verdicts.remedies import Remedy, advice, remedies, tiny

SEVERITY = (
    (2.0, "of 9 networks with such a fall 6 learned by SGD with momentum and all by Adam: look again after 100 steps"),
    (3.0, "of 9 networks with such a fall 3 learned by SGD with momentum and 8 by Adam"),
    (4.0, "of 12 networks with such a fall none learned by SGD with momentum and 8 by Adam"),
    (6.0, "of 9 networks with such a fall none learned by SGD with momentum and 2 by Adam"),
)
"""What training did, by the decades that the gradient had lost at initialisation: see docs/watch.md."""
NEAR_OVERFLOW = 1e25
"""Where dz is not finite, it has overflowed if dz of the layer above is larger than this."""
THROUGH_TIME = {
    "vanishing": "an LSTM or GRU, its forget bias at 1 or more, orthogonal recurrent weights, or shorter sequences",
    "exploding": "clipped gradients, orthogonal recurrent weights, or shorter sequences",
}
"""What helps a recurrent layer."""
CLIFFS = (
    (NORMS, "the norm there: over one value, or equal ones, it puts out a constant. Normalise over more, or drop it"),
    (("Softmax",), "the softmax there: its inputs are so far apart that it is saturated. Divide them, or use logits"),
    (("Sigmoid", "Tanh", "Hardtanh", "Hardsigmoid"), "what saturates there: make its inputs smaller"),
    (("Mul",), "the factor there: a gate that is shut, or a small number"),
    (("Div",), "what it divides by there: a large number"),
    (("Exp", "Pow", "Log", "Sqrt", "Reciprocal"), "the range of the numbers that go into it"),
)
"""By the operation where a gradient is lost, what to look at."""
EVERYWHERE = ("BatchNorm", "LayerNorm", "RmsNorm")
"""Norms that many networks have between any two layers: as long as nothing was measured, they are no suspects."""
STEEP = 0.5
"""The share of a cliff that one operation has to lose, to be named for it."""


def trend(evidence: Evidence, fall: Fall) -> list[Finding]:
    """What the fall says: a cliff, where one place explains it, else vanishing or exploding; in one branch or through
    time, where the network as a whole is well. Where dz underflows to 0 it vanishes, where it overflows it explodes."""
    faded, burst = underflowed(evidence), overflowed(evidence)
    word = verdict(fall.decades) if len(fall.levels) > 1 else "healthy"
    if faded or burst:
        word = "vanishing" if faded else "exploding"
    elif fall.cliff is not None:
        return [_cliff(fall.cliff, evidence.closer.drop)]
    elif word in ("healthy", "undecided"):
        return _astray(fall)
    rows = graded(evidence)
    words = _whole(fall, word) if len(fall.levels) > 1 else f"{len(fall.levels)} layer in a row has a gradient"
    if faded:
        words += f"; below, it underflows to 0 in {len(faded)} more"
    if burst:
        words += f"; below, it overflows in {len(burst)} more"
    there = {row["name"] for row in rows} | {*faded, *burst}
    names = unique(row["name"] for row in evidence.rows if row["name"] in there)
    through_time = fall.time is not None and 2 * abs(fall.time.decades) > abs(fall.decades.point)
    help_ = advice(THROUGH_TIME[word]) if through_time else remedies(word, evidence.rows)
    if evidence.idle_norms:
        idle = f"{evidence.idle_norms} norms over the batch are in evaluation mode, with statistics of another: "
        help_ = [*advice(f"{idle}model.train()"), *help_]
    return [Finding(word, names, f"through time {words}" if through_time else words, help_)]


def _whole(fall: Fall, word: str) -> str:
    top, bottom = fall.ends
    steps = max(len(fall.levels) - 1, 1)
    verb = "falls" if fall.decades.point > 0 else "grows"
    words = f"the gradient {verb} by {abs(fall.decades.point):.2g} decades, {change(top, bottom)}, "
    words += f"a factor {10 ** -(fall.decades.point / steps):.3g} a layer"
    severe = [said for decades, said in SEVERITY if word == "vanishing" and fall.decades.point > decades]
    return "; ".join([words, *severe[-1:]])


def _cliff(cliff: Cliff, drop: Drop | None) -> Finding:
    words = f"the gradient loses {cliff.decades:.2g} decades between two neighbours, {change(cliff.above, cliff.below)}"
    if drop is not None and drop.decades > STEEP * cliff.decades:
        at = f"the weights of {where(cliff.above)}" if drop.own else drop.operation
        at += f" in {drop.module}" if drop.module and not drop.own else ""
        words += f"; {drop.decades:.2g} of them at {at}{f' ({drop.line})' if drop.line else ''}"
    else:
        drop = None
        if cliff.operations:
            words += f"; between them: {', '.join(cliff.operations)}"
    return Finding("cliff", [cliff.above["name"], cliff.below["name"]], words, _at(cliff, drop))


def _at(cliff: Cliff, drop: Drop | None) -> list[Remedy]:
    if drop is None:
        seen = [name for name in cliff.operations if not name.endswith(EVERYWHERE)]
        found = [f"look at {what}" for names, what in CLIFFS if _has(seen, names)]
        ends = f"{cliff.below['name']} and {cliff.above['name']}"
        return advice(*found, f"look at what lies between {ends}: a gate that is shut, or a small factor")
    if drop.own:
        size = f"their root mean square is {cliff.above['w_rms']:.2g}"
        return advice(f"larger weights in {cliff.above['name']}: {size}, at fan-in {cliff.above['fan_in']:g}")
    if drop.running:
        return advice("the running variance of that norm is far above the batch's: compute it anew, or use train()")
    found = next((what for names, what in CLIFFS if _has([drop.operation], names)), f"what goes into {drop.operation}")
    return advice(f"look at {found}")


def _has(operations: Sequence[str], names: Sequence[str]) -> bool:
    return any(name in operation for name in names for operation in operations)


def _astray(fall: Fall) -> list[Finding]:
    """What is lost on one way only, or gained at one place."""
    if fall.time is not None:
        lost, top, bottom = fall.time
        word = "vanishing" if lost > 0 else "exploding"
        verb = "falls" if lost > 0 else "grows"
        words = f"through time the gradient {verb} by {abs(lost):.2g} decades over the calls of {top['name']}, "
        return [Finding(word, [top["name"]], words + change(top, bottom), advice(THROUGH_TIME[word]))]
    if fall.rise is not None:
        grown, top, peak = fall.rise
        words = f"at one place the gradient is {grown:.2g} decades larger than below the loss, {change(top, peak)}"
        if peak["operations"]:
            words += f"; it came through {', '.join(peak['operations'])}"
        look = f"look at what takes the output of {peak['name']}: a norm of numbers that are nearly 0 divides by them"
        small = tiny([peak])
        return [Finding("exploding", [peak["name"]], words, [*([small] if small else []), *advice(look)])]
    if fall.branch is not None:
        lost, top, bottom = fall.branch
        words = f"in one branch the gradient falls by {lost:.2g} decades, {change(top, bottom)}; the others are well"
        compare = f"compare {bottom['name']} with its neighbours: its scale of weights, its gates, what it is added to"
        return [Finding("vanishing", [bottom["name"]], words, advice(compare))]
    return []


def underflowed(evidence: Evidence) -> list[str]:
    """Layers whose dz is exactly 0 because the one above is next to the smallest number of its type."""
    return _below(
        evidence, lambda row: row["dz_rms"] == 0, lambda above: 0 < above["dz_rms"] < above["underflow_below"]
    )


def overflowed(evidence: Evidence) -> list[str]:
    """Layers whose dz is not finite because the one above is next to the largest number."""
    return _below(evidence, lambda row: "dz_rms" in row["broken"], lambda above: above["dz_rms"] > NEAR_OVERFLOW)


def _below(evidence: Evidence, lost: Callable[[Row], bool], near: Callable[[Row], bool]) -> list[str]:
    """Layers where dz is lost and that have one above them that is near to losing it, or is lost in this way."""
    by_depth = sorted((row for row in evidence.rows if row["depth"] >= 0), key=lambda row: row["depth"])
    near_or_lost = {row["index"] for row in by_depth if not lost(row) and near(row)}
    found: list[Row] = []
    for row in by_depth:
        if lost(row) and near_or_lost.intersection(row["above"]):
            near_or_lost.add(row["index"])
            found.append(row)
    return unique(row["name"] for row in sorted(found, key=lambda row: row["layer"]))
