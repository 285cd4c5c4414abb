"""Findings about what reaches parameters: nothing (disconnected), exactly 0 (dead), or no number."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from vgexp.watching.hooks.calls import NARROW
from vgexp.watching.hooks.graph import is_norm
from vgexp.watching.hooks.layers import owner
from vgexp.watching.tracing.precision import ADVICE
from vgexp.watching.verdicts.evidence import Evidence, Row
from vgexp.watching.verdicts.findings import Finding, span, unique, where
from vgexp.watching.verdicts.remedies import advice
from vgexp.watching.verdicts.trends import underflowed


def not_finite(evidence: Evidence) -> list[Finding]:
    """The first layer with something that is not finite: forward if there is any, else backward, else in dW. Where a
    closer look found the operation, that."""
    found = evidence.closer.broken
    if found is not None:
        place = found.module or ("inputs" if found.direction == "input" else "loss")
        return [Finding("nan", [place], found.evidence, advice(found.advice))]
    for column, what, help_ in (
        ("w_rms", "its weights are not finite", "an update broke them: lower the learning rate, clip gradients"),
        ("z_rms", "forward: the first layer whose output is not finite", "look at it and at what lies before it"),
        (
            "dz_rms",
            "backward: the first layer, coming from the loss, whose dz is not finite, though all outputs are",
            "look between it and the layer above: a root or norm at 0, a division by 0, a mask of infinities",
        ),
        ("dw_rms", "backward: its weight gradient is not finite, though z and dz are", "look at its inputs"),
    ):
        broken = [row for row in evidence.rows if column in row["broken"]]
        if broken:
            first = broken[-1] if column == "dz_rms" else broken[0]
            many = f" (so are {len(broken) - 1} more)" if len(broken) > 1 else ""
            return [Finding("nan", [first["name"]], f"{what}, in {where(first)}{many}", advice(help_))]
    return []


def skipped_update(evidence: Evidence) -> list[str]:
    """What a scaler does where its factor makes gradients overflow in a narrow type, in sentences; nothing where they
    are not finite for another reason.

    Then outputs and weights are finite, and dz is infinite where it first overflows: NaN there comes from the loss, or
    from a derivative. A reason that stays is found once the scaler has gone down to 1.
    """
    broken = [row for row in evidence.rows if row["broken"]]
    lost = [row for row in broken if "dz_rms" in row["broken"]]
    if evidence.scale <= 1 or not broken or any({"z_rms", "w_rms"}.intersection(row["broken"]) for row in broken):
        return []
    first = (lost or broken)[-1]
    if first["dtype"] not in NARROW or (lost and first["dz_rms"] != math.inf):
        return []
    kind = str(first["dtype"]).removeprefix("torch.")
    return [
        f"the gradient overflows in {kind} at {where(first)}, with the loss times {evidence.scale:g}: the scaler skips "
        "this update and halves its factor. Where it does so at every step, look at the loss"
    ]


def lost_precision(evidence: Evidence) -> list[Finding]:
    """What low precision loses of dz: it vanishes, or overflows, in a type with a narrow range."""
    verb = next((verb for verb in ADVICE if verb in evidence.precision), "rounds")
    names = unique(row["name"] for row in evidence.rows if row["dtype"] in NARROW)
    kind = "exploding" if verb == "overflows" else "vanishing"
    return [Finding(kind, names, evidence.precision, advice(ADVICE[verb]))]


def dead(evidence: Evidence) -> list[Finding]:
    """Trainable layers that ran and whose weights get exactly zero gradient, by no underflow.

    Layers that a parameter shuts off which is 0 and has a gradient are not counted where that is how networks are
    started: see `opening`.
    """
    got, names = _gradients(evidence)
    zero = [row for row in evidence.rows if row["name"] in names]
    if not zero or _opens(evidence, got, zero):
        return []
    words = f"{len(names)} of {len(got)} trainable layers that ran get exactly zero gradient"
    last = max(row["layer"] for row in zero)
    later = [row for row in evidence.rows if not row["frozen"] and row["layer"] > last]
    above = next((row for row in later if row["dz_rms"] > 0), None)
    if above is not None:
        words += f"; {where(above)}, above them, has rms(dz) {above['dz_rms']:.2g}"
    if evidence.closer.zeroed:
        words += f"; it becomes 0 at {evidence.closer.zeroed}"
    if evidence.gates:
        help_ = f"{', '.join(evidence.gates[:3])} is 0 and shuts them off: start it with small numbers"
    else:
        help_ = SHUT.get(evidence.closer.zeroed, ONE_VALUE if is_norm(evidence.closer.zeroed) else UNKNOWN)
    return [Finding("dead", names, words, advice(help_))]


def opening(evidence: Evidence) -> list[str]:
    """What is to be known of layers without a gradient that get one with the next step, in sentences: a parameter that
    starts at 0 shuts them off, and a gradient finds a way around them, as in residual branches; or frozen layers are
    the way around, as in LoRA and ControlNet; or the last layer starts with an output of 0, as in Fixup.
    """
    got, names = _gradients(evidence)
    zero = [row for row in evidence.rows if row["name"] in names]
    if not zero or not _opens(evidence, got, zero):
        return []
    gates = span(evidence.gates, noun="in all")
    return [f"no gradient yet in {span(names)}: {gates} starts at 0 and shuts off what is below: look again later"]


def _opens(evidence: Evidence, got: Mapping[str, float], zero: Sequence[Row]) -> bool:
    if not evidence.gates or evidence.closer.zeroed in SHUT:
        return False
    last = {row["name"] for row in evidence.rows if row["depth"] == 0 and not row["z_rms"] > 0}
    around = any(got.get(row["name"], 0) > 0 for row in behind(zero, evidence.rows))
    return around or any(row["frozen"] for row in evidence.rows) or last.issuperset(map(owner, evidence.gates))


def _gradients(evidence: Evidence) -> tuple[dict[str, float], list[str]]:
    """The gradients of trainable layers that ran on something, by no underflow, and the names of those where it is
    exactly 0."""
    lost = {*underflowed(evidence), *without_examples(evidence)}
    rows = [row for row in evidence.rows if not row["frozen"] and row["name"] not in lost]
    got = {row["name"]: row["dw_rms"] for row in rows if row["dw_rms"] == row["dw_rms"]}
    for row in rows:  # where weights have no gradient of their own to look at, dz says it
        if row["name"] not in got and row["dz_rms"] == row["dz_rms"] and row["name"] not in evidence.disconnected:
            got[row["name"]] = max(row["dz_rms"], got.get(row["name"], 0.0))
    arrived = {row["name"] for row in rows if row["dz_rms"] != 0}
    got |= {name: 0.0 for name in evidence.leftover if name in got and name not in arrived}  # dW is an old one
    return got, [name for name, gradient in got.items() if gradient == 0]


def without_examples(evidence: Evidence) -> list[str]:
    """Trainable layers none of whose calls put out an entry: their gradient is 0 as a sum over nothing."""
    fed = {row["name"] for row in evidence.rows if not row["empty"]}
    return unique(row["name"] for row in evidence.rows if row["name"] not in fed and not row["frozen"])


SHUT = {
    "Relu": "all units of that relu are off: smaller or positive biases, a smaller step, leaky_relu or softplus",
    "Softmax": "that softmax is saturated: scale the inputs, or hand logits to the loss (cross_entropy)",
    "Sigmoid": "that sigmoid is saturated: scale the inputs, or hand logits to the loss (with_logits)",
    "Tanh": "that tanh is saturated: scale the inputs",
    "Round": "round has a derivative of 0: pass the gradient straight through, x + (x.round() - x).detach()",
    "Sign": "sign has a derivative of 0: pass the gradient straight through",
    "Clamp": "everything is outside of that clamp: widen it, or scale what goes in",
    "Hardtanh": "everything is outside of that range: scale what goes in",
    "ToCopy": "a cast to a type with a narrow range rounds it to 0 there: scale the loss, or cast forward alone",
}
"""What to do where an operation makes a gradient exactly 0."""
ONE_VALUE = "over one value, or equal ones, that norm puts out a constant: normalise over more, or drop it"
UNKNOWN = "look for units that are all off, or for a loss that is flat"


def behind(zero: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """The calls whose gradient came through one of these, whatever other ways it took."""
    below: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        for number in row["above"]:
            below[number].append(row)
    found: dict[int, Row] = {}
    stack = list(zero)
    while stack:
        for row in below[stack.pop()["index"]]:
            if row["index"] not in found:
                found[row["index"]] = row
                stack.append(row)
    return list(found.values())


def disconnected(evidence: Evidence) -> list[Finding]:
    """Trainable parameters that no gradient reaches, those with one cause together."""
    causes: dict[object, list[str]] = defaultdict(list)
    for name, why in evidence.disconnected.items():
        cut = evidence.closer.cuts.get(name)
        causes[why if cut is None else cut.cause].append(name)
    return [_disconnected(names, evidence) for names in causes.values()]


def _disconnected(names: list[str], evidence: Evidence) -> Finding:
    whole = evidence.severed and len(names) == len(evidence.disconnected)
    cut, why = evidence.closer.cuts.get(names[0]), evidence.disconnected[names[0]]
    if cut is not None:
        places = unique(evidence.closer.cuts[name].words for name in names)
        why = f"{cut.words}; likewise in {len(places) - 1} more" if len(places) > 1 else cut.words
        mend = cut.remedy
    elif whole:
        mend = "requires_grad_(True) for what is to be trained, and a loss that is computed from the model's output"
    else:
        mend = "use them in forward, and what comes of them in the loss, without detach or no_grad"
    others = [] if whole else ["freeze them (requires_grad_(False)), or remove them, if that is meant"]
    subject = "any parameter" if whole else span(names, noun="in all")
    return Finding("disconnected", names, f"no gradient reaches {subject}: {why}", advice(mend, *others))


def constant(evidence: Evidence) -> list[Finding]:
    """Terms of the loss that are constants, although they come of the model."""
    help_ = "pass create_graph=True there; or detach it in plain words, if it is meant as a constant"
    return [
        Finding("disconnected", ["loss"], f"a term of the loss is a constant: {why}", advice(help_))
        for why in evidence.closer.constant
        if why not in {cut.words for cut in evidence.closer.cuts.values()}
    ]
