import re
from pathlib import Path

import pandas as pd

import vgexp
from vgexp.claims.verdicts import COLUMNS
from vgexp.pages import report


def results():
    return vgexp.run("data=digits", "model.depth=5", "model.width=10", "steps=0", "seed=0,1,2")


def test_works_offline_and_says_how_it_was_made():
    results()
    page = report.write(Path("results/train")).read_text()
    linked = re.findall(r"(?:src|href)=[\"'](?!#|data:)[^\"']*", page)
    assert linked == []
    assert "<svg" in page
    assert "vgexp.run(" in page
    assert "3 runs done" in page


def test_everything_shown_is_escaped():
    found = results()
    found.commands[:] = ["<script>alert(1)</script>"]
    page = report.render(Path("results/<b>"), found, "<i>title", "<u>", [], None)
    for raw in ("<script>alert", "<i>title", "results/<b>", "<u>"):
        assert raw not in page
    assert "&lt;script&gt;alert" in page


def test_claims_show_intervals_seeds_and_reasons():
    row = dict.fromkeys(COLUMNS, 0.0) | {
        "claim": "X-1",
        "part": 1,
        "statement": "it does",
        "source": "eq. 1",
        "quantity": "ratio",
        "expected": 2.0,
        "low": 1.0,
        "high": 3.0,
        "measured": 5.0,
        "measured_low": 4.5,
        "measured_high": 5.5,
        "seeds": 7,
        "verdict": "refuted",
        "expected_verdict": "holds",
        "reason": "part 1 lies outside",
        "scale": "smoke",
    }
    page = report.render(Path("x"), results(), "t", "", [], pd.DataFrame([row]))
    for text in ("X-1", "5 [4.5, 5.5]", "1 … 3", "refuted", "part 1 lies outside", "not as expected", ">7<"):
        assert text in page
