from vgexp.watching.verdicts.findings import Finding, span
from vgexp.watching.verdicts.remedies import Remedy


def test_many_names_are_abridged():
    assert span(["a", "b"]) == "a, b"
    assert span(list("abcdefgh")) == "a, b, c ... g, h (8 layers)"


def test_a_finding_reads_from_what_is_wrong_to_what_to_try():
    finding = Finding("dead", ["a", "b"], "why", [Remedy("this", tried="it helped"), Remedy("that"), Remedy("else")])
    assert str(finding).splitlines() == [
        "dead: why",
        "  where  a, b",
        "  try    this (it helped)",
        "  or     that",
        "  or     else",
    ]
    assert finding.remedy == "this" and Finding("dead", [], "").remedy == ""
    assert finding.to_dict()["remedies"][0] == {"words": "this", "weights": {}, "inputs": 1.0, "tried": "it helped"}
