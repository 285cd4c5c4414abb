import base64
import gzip
import json
import re
import shutil
from pathlib import Path

import pandas as pd

import vgexp
from vgexp.claims.verdicts import COLUMNS
from vgexp.figures.pictures import Picture, Table
from vgexp.figures.style import panels
from vgexp.pages import facts
from vgexp.pages.page import Content, render, write_report


def results():
    return vgexp.run("name=train", "data=digits", "model.depth=5", "model.width=10", "steps=0", "seed=0,1,2")


def pictures_of(page):
    packed = re.search(r'id="pictures">([^<]*)<', page)
    return json.loads(gzip.decompress(base64.b64decode(packed[1])))


def test_works_offline_and_says_how_it_was_made():
    results()
    page = write_report(Path("results/train")).read_text()
    linked = re.findall(r"(?:src|href)=[\"'](?!#|data:)[^\"']*", page)
    assert linked == []
    assert all(picture.startswith("<svg") for picture in pictures_of(page).values()) and "profile" in pictures_of(page)
    assert "vgexp.run(" in page
    assert "3 done" in page


def test_what_is_left_out_is_said(monkeypatch):
    monkeypatch.setattr(facts, "THEORIES", 0)
    assert "Theory is computed for the first 0 of 1 networks." in render([Path("x")], results(), Content())


def test_everything_shown_is_escaped():
    found = results()
    found.commands = {"<script>alert(1)</script>": []}
    page = render([Path("results/<b>")], found, Content("<i>title", "<u>", {}))
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
        "reference": 2.25,
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
    counted = row | {"part": 2, "exact": True, "measured": 6.0, "measured_low": 6.0, "measured_high": 6.0}
    page = render([Path("x")], results(), Content(pictures={}, claims=pd.DataFrame([row, counted])))
    for text in (
        "X-1",
        "5 [4.5, 5.5]",
        "1 … 3",
        "refuted",
        "part 1 lies outside",
        "not as expected",
        ">7<",
        "6 exact<",
    ):
        assert text in page
    assert '<td class="n">2</td><td class="n">2.25</td>' in page  # the paper's number, and our own reference


def test_tables_pictures_and_reasons_stand_on_the_page():
    table = Table(pd.DataFrame({"a<b": ["1 & 2"]}), "What it says.")
    with panels(1, 1) as (figure, _):
        pictures = {"one": Picture(figure, "A line.", pd.DataFrame()), "two": "not drawn: no runs"}
    page = render([Path("x")], results(), Content(pictures=pictures, tables={"first": table}))
    for text in ("a&lt;b", "1 &amp; 2", "What it says.", '<figure id="figure-one">', "not drawn: no runs"):
        assert text in page
    assert list(pictures_of(page)) == ["one"]
    assert "gradient&#39;s" in page or "gradient's" in page  # the fits of dz


def test_a_sweep_that_has_not_begun_has_a_page():
    results()
    shutil.rmtree(Path("results/train/runs"))
    shutil.rmtree(Path("results/train/layers"))
    page = write_report(Path("results/train")).read_text()
    assert "3 missing" in page and pictures_of(page) == {}
