"""What the fall of a gradient says: a cliff, vanishing or exploding, as a whole, in one branch or through time."""

from collections.abc import Callable

from vgexp.results import verdict
from vgexp.watching.evidence import Evidence, Row
from vgexp.watching.falls import Cliff, Fall, graded
from vgexp.watching.findings import Finding, change, unique
from vgexp.watching.remedies import NORMS, Remedy, advice, remedies

SEVERITY = (
    (2.0, "plain SGD gets slow at such a fall"),
    (3.0, "at such a fall plain SGD mostly fails, and Adam mostly works"),
    (4.0, "plain SGD failed in every network with such a fall that was tried"),
    (6.0, "plain SGD failed in every network with such a fall that was tried, and Adam mostly did"),
)
"""What training did, by the decades that the gradient had lost at initialisation."""
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
    (("Exp", "Pow", "Log", "Sqrt", "Div", "Reciprocal"), "the range of the numbers that go into it"),
)
"""By the operation where a gradient is lost, what to look at."""


def trend(evidence: Evidence, fall: Fall) -> list[Finding]:
    """What the fall says: a cliff, where one place explains it, else vanishing or exploding; in one branch or through
    time, where the network as a whole is well. Where dz underflows to 0 it vanishes, where it overflows it explodes."""
    faded, burst = underflowed(evidence), overflowed(evidence)
    word = verdict(fall.decades) if len(fall.levels) > 1 else "healthy"
    if faded or burst:
        word = "vanishing" if faded else "exploding"
    elif fall.cliff is not None:
        return [_cliff(fall.cliff)]
    elif word in ("healthy", "undecided"):
        return _astray(fall)
    rows = graded(evidence)
    words = _whole(fall, word) if len(fall.levels) > 1 else f"one layer has a gradient, of {rows[0]['dz_norm']:.2g}"
    if faded:
        words += f"; below, it underflows to 0 in {len(faded)} more"
    if burst:
        words += f"; below, it overflows in {len(burst)} more"
    there = {row["name"] for row in rows} | {*faded, *burst}
    names = unique(row["name"] for row in evidence.rows if row["name"] in there)
    through_time = fall.time is not None and 2 * abs(fall.time.decades) > abs(fall.decades.point)
    help_ = advice(THROUGH_TIME[word]) if through_time else remedies(word, evidence.rows)
    return [Finding(word, names, f"through time {words}" if through_time else words, help_)]


def _whole(fall: Fall, word: str) -> str:
    top, bottom = fall.ends
    steps = max(len(fall.levels) - 1, 1)
    verb = "falls" if fall.decades.point > 0 else "grows"
    words = f"the gradient {verb} by {abs(fall.decades.point):.2g} decades, {change(top, bottom)}, "
    words += f"a factor {10 ** -(fall.decades.point / steps):.3g} a layer"
    severe = [said for decades, said in SEVERITY if word == "vanishing" and fall.decades.point > decades]
    return "; ".join([words, *severe[-1:]])


def _cliff(cliff: Cliff) -> Finding:
    words = f"the gradient loses {cliff.decades:.2g} decades between two neighbours, {change(cliff.above, cliff.below)}"
    if cliff.operations:
        words += f"; between them: {', '.join(cliff.operations)}"
    return Finding("cliff", [cliff.above["name"], cliff.below["name"]], words, _at(cliff))


def _at(cliff: Cliff) -> list[Remedy]:
    found = [
        f"look at {what}"
        for names, what in CLIFFS
        if any(name in operation for name in names for operation in cliff.operations)
    ]
    between = f"look at what lies between {cliff.below['name']} and {cliff.above['name']}: a gate that is shut, or a "
    return advice(*found, f"{between}small factor")


def _astray(fall: Fall) -> list[Finding]:
    """What is lost on one way only."""
    if fall.time is not None:
        lost, top, bottom = fall.time
        word = "vanishing" if lost > 0 else "exploding"
        verb = "falls" if lost > 0 else "grows"
        words = f"through time the gradient {verb} by {abs(lost):.2g} decades over the calls of {top['name']}, "
        return [Finding(word, [top["name"]], words + change(top, bottom), advice(THROUGH_TIME[word]))]
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
