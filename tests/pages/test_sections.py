import math

import pandas as pd
import pytest

import vgexp
from vgexp.pages.sections import asked, claim_entries, fit_rows, interval, number, origins, status_counts
from vgexp.results.estimates import Estimate


@pytest.fixture
def results():
    return vgexp.run(
        "data=digits", "model.family=plain,residual", "model.depth=6", "model.width=10", "steps=0", "seed=0,1,2"
    )


def test_claims_have_their_parts_their_figure_and_the_command_that_repeats_them():
    def row(claim, part, verdict, expected):
        text = {"statement": f"{claim} is so", "source": "eq. 1", "reason": ""}
        return {"claim": claim, "part": part, "verdict": verdict, "expected_verdict": expected, **text}

    claims = pd.DataFrame(
        [
            row("A", 1, "holds", "holds"),
            row("B", 1, "not measured", "holds"),
            row("C", 1, "refuted", "holds"),
            row("C", 2, "refuted", "holds"),
            row("D", 1, "refuted", "refuted"),
        ]
    )
    claims.loc[0, "source"] = "section 3, Figure 7"
    entries = claim_entries(claims, ["figure7"], {"A": ["tanh", "deep"]}, {"A": "vgexp reproduce one2010"})
    assert [entry["claim"] for entry in entries] == ["A", "B", "C", "D"]
    assert [len(entry["parts"]) for entry in entries] == [1, 1, 2, 1]
    assert [entry["surprising"] for entry in entries] == [False, False, True, False]
    assert [entry["figure"] for entry in entries] == ["figure7", "", "", ""]
    assert [entry["command"] for entry in entries] == ["vgexp reproduce one2010", "", "", ""]


def test_what_was_asked_is_said_in_a_sentence(results):
    said = asked(results)
    assert (
        said
        == "6 networks: tanh, 6 layers, 10 wide, on digits, 0 steps, 3 seeds; varied: model.family plain, residual."
    )
    results.runs["optim.lr"] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    results.runs.loc[0, "optim.lr"] = 0.7
    assert "optim.lr 0.2, 0.3, 0.4, 0.5, 0.6, 0.7" in asked(results)
    assert asked(results.select([])) == "No networks yet."


def test_fits_have_a_row_a_group_by_the_gradient_of_its_family(results):
    rows = fit_rows(results)
    assert [(row["networks"], row["quantity"]) for row in rows] == [("plain", "dz_rms"), ("residual", "dx_rms")]
    assert all(row["seeds"] == 3 and row["depth"] == 6 for row in rows)
    assert fit_rows(results.select([])) == []


def test_runs_are_counted_by_status(results):
    assert status_counts(results) == {"done": 6}
    results.runs.loc[0, "status"] = "failed"
    results.planned["f" * 12] = {"seed": 3}
    assert status_counts(results) == {"done": 5, "failed": 1, "missing": 1}


def test_origins_are_distinct(results):
    assert len(origins(results)) == 1
    results.runs.loc[0, "torch"] = "1.0"
    assert {row["torch"] for row in origins(results)} == {"1.0", results.runs.loc[1, "torch"]}


def test_numbers_are_short_and_nan_is_empty():
    assert [number(x) for x in (123.4, 0.012345, math.inf, -math.inf, math.nan, None, "")] == [
        *("123", "0.0123", "∞", "-∞", "", "", ""),
    ]
    assert interval(Estimate(1.0, 0.5, 1.5, 3)) == "1 [0.5, 1.5]"
    assert interval(Estimate(math.nan, math.nan, math.nan, 3)) == "–"
