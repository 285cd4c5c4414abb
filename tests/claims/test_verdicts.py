import math

import pandas as pd
import pytest

from vgexp.claims.statements import Claim, Criterion, Missing
from vgexp.claims.verdicts import COLUMNS, compare, evaluate
from vgexp.results.estimates import Estimate
from vgexp.results.tables import Results


def results():
    empty = pd.DataFrame({"run": []})
    runs = pd.DataFrame({"run": ["a", "b", "c"], "seconds": [1.0, 2.0, 4.0]})
    return Results(runs, empty, empty, empty, empty, [], grids={"g": ["a", "b"]})


def claim(*ranges, values=(1.0, 1.1, 0.9), **options):
    criteria = tuple(Criterion("x", low, high, lambda _: values) for low, high in ranges)
    return Claim("C", "x is 1", "here", criteria, grids=("g",), **options)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Estimate(1.0, 0.0, 2.0, 3), "in"),
        (Estimate(3.0, 2.5, 3.5, 3), "out"),
        (Estimate(3.0, 1.5, 4.5, 3), "undecided"),
        (Estimate(3.0, math.nan, math.nan, 1), "undecided"),
    ],
)
def test_compare(found, word):
    assert compare(found, 0.5, 2.0) == word


def verdict(one, scale="smoke"):
    row = evaluate([one], results(), scale).iloc[0]
    return row["verdict"], row["reason"]


def test_verdicts():
    assert verdict(claim((0.9, 1.1))) == ("holds", "")
    assert verdict(claim((0.9, 1.1), (2, 3))) == ("refuted", "part 2 lies outside")
    assert verdict(claim((1.05, 1.2))) == ("not measured", "undecided: part 1")
    assert verdict(claim((0, 2), scale="paper")) == ("not measured", "needs scale paper")
    assert verdict(claim((0, 2), reason="consistent with")) == ("not measured", "consistent with")
    assert verdict(claim((0, 2), values=(math.nan,))) == ("not measured", "a value is not finite")


def test_what_is_missing_is_said():
    def missing(_):
        raise Missing("no runs of he")

    one = Claim("C", "", "", (Criterion("x", 0, 1, missing),))
    assert verdict(one) == ("not measured", "no runs of he")


def test_columns_and_the_time_of_the_runs_that_were_read():
    table = evaluate([claim((0, 2))], results(), "smoke")
    assert list(table.columns) == COLUMNS
    assert table["seconds"].iloc[0] == 3
    assert table["seeds"].iloc[0] == 3


def test_a_refuted_claim_explains_itself():
    for explanation, reason in (("", "part 1 lies outside"), ("so it is", "part 1 lies outside: so it is")):
        refuted = claim((5, 6), explanation=explanation)
        assert evaluate([refuted], results(), "smoke")["reason"].tolist() == [reason]
    assert evaluate([claim((0, 2), explanation="so it is")], results(), "smoke")["reason"].tolist() == [""]


def test_a_measure_gives_one_value_a_seed():
    with pytest.raises(ValueError, match=r"C, x: one value a seed is needed, got \(2, 2\)"):
        evaluate([claim((0, 2), values=((1.0, 1.0), (1.0, 1.0)))], results(), "smoke")


def test_a_mistaken_label_is_not_taken_for_a_missing_run():
    def mistaken(_):
        raise KeyError("layer 9")

    with pytest.raises(KeyError, match="layer 9"):
        evaluate([Claim("C", "", "", (Criterion("x", 0, 1, mistaken),))], results(), "smoke")
