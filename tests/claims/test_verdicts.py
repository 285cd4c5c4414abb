import math

import pandas as pd
import pytest

from vgexp.claims.statements import Claim, Criterion, Missing
from vgexp.claims.verdicts import COLUMNS, compare, evaluate, judged
from vgexp.results.estimates import Estimate, estimate, exact, geometric_mean, median
from vgexp.results.tables import Results


def results():
    empty = pd.DataFrame({"run": []})
    runs = pd.DataFrame({"run": ["a", "b", "c"], "seconds": [1.0, 2.0, 4.0]})
    return Results(runs, empty, empty, empty, empty, [], grids={"g": ["a", "b"]})


def claim(*ranges, values=(1.0, 1.001, 0.999), by=estimate, **options):
    criteria = tuple(Criterion("x", low, high, lambda _: values, by=by) for low, high in ranges)
    return Claim("C", "x is 1", "here", criteria, grids=("g",), **options)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Estimate(1.0, 0.6, 1.4, 3), "in"),
        (Estimate(1.0, 0.0, 1.5, 3), "in"),  # not inside, but no wider than the range
        (Estimate(1.0, 0.0, 2.0, 3), "undecided"),  # its point is inside, but it is wider than the range
        (Estimate(1.0, -8.0, 10.0, 3), "undecided"),
        (Estimate(3.0, 2.5, 3.5, 3), "out"),
        (Estimate(3.0, 1.5, 4.5, 3), "undecided"),
        (Estimate(1.0, math.nan, math.nan, 1), "undecided"),  # one seed decides nothing, neither way
        (Estimate(3.0, math.nan, math.nan, 1), "undecided"),
    ],
)
def test_compare(found, word):
    assert compare(found, 0.5, 2.0) == word


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Estimate(3.0, 2.1, 9.0, 3), "in"),
        (Estimate(3.0, 1.9, 4.0, 3), "undecided"),  # a one-sided range has no width to compare with
        (Estimate(1.0, 0.9, 1.1, 3), "out"),
        (Estimate(math.inf, 3.0, math.inf, 5), "in"),
    ],
)
def test_in_a_one_sided_range_the_whole_interval_must_lie(found, word):
    assert compare(found, 2.0, math.inf) == word
    mirrored = Estimate(-found.point, -found.high, -found.low, found.seeds)
    assert compare(mirrored, -math.inf, -2.0) == word


def verdict(one, scale="smoke"):
    row = evaluate([one], results(), scale).iloc[0]
    return row["verdict"], row["reason"]


def test_verdicts():
    assert verdict(claim((0.9, 1.1))) == ("holds", "")
    assert verdict(claim((0.9, 1.1), (2, 3))) == ("refuted", "part 2 lies outside")
    assert verdict(claim((1.001, 1.2))) == ("not measured", "undecided: part 1")
    assert verdict(claim((0, 2), scale="paper")) == ("not measured", "needs scale paper")
    assert verdict(claim((0, 2), reason="consistent with")) == ("not measured", "consistent with")
    assert verdict(claim((0, 2), values=(math.nan,))) == ("not measured", "a value is not finite")
    assert verdict(claim((0, 2), values=(1.0, math.inf))) == ("not measured", "a value is not finite")
    assert verdict(claim((0, 2), values=(1.0, 0.0), by=geometric_mean)) == ("not measured", "a value is not above 0")


def test_claims_in_words():
    held, refuted = claim((0.9, 1.1)), claim((2.0, 3.0), explanation="x is 1")
    assert judged([held], results(), "smoke") == 'Claim C, "x is 1", holds here.'
    said = judged([refuted], results(), "smoke")
    assert said.startswith('Claim C, "x is 1", is refuted here (') and said.endswith(": x is 1).")
    assert "is not measured here (needs scale paper)." in judged([claim((0, 1), scale="paper")], results(), "smoke")
    assert judged([], results(), "smoke") == ""


@pytest.mark.parametrize("accepted", [(0, 2), (5, 6), (-math.inf, 5)])
def test_one_seed_of_a_random_quantity_neither_holds_nor_is_refuted(accepted):
    for by in (estimate, geometric_mean, median):
        assert verdict(claim(accepted, values=(1.0,), by=by)) == (
            "not measured",
            "undecided: part 1, too few seeds (1)",
        )


def test_one_count_is_enough():
    assert verdict(claim((0, 2), values=(1.0,), by=exact)) == ("holds", "")
    assert verdict(claim((5, 6), values=(1.0,), by=exact)) == ("refuted", "part 1 lies outside")
    assert verdict(claim((0, 2), values=(1.0, 4.0), by=exact)) == ("not measured", "undecided: part 1")


def test_what_is_never_reached_lies_beyond_every_bound():
    within, never = (10.0, 20.0, 30.0, 40.0, 50.0), (math.inf,) * 5
    assert verdict(claim((0, 60), values=within, by=median)) == ("holds", "")
    assert verdict(claim((0, 60), values=never, by=median)) == ("refuted", "part 1 lies outside")
    assert verdict(claim((0, 60), values=(*within[:4], math.inf), by=median)) == ("not measured", "undecided: part 1")
    assert verdict(claim((0, 60), values=within[:4], by=median)) == (
        "not measured",
        "undecided: part 1, too few seeds (4)",
    )


def test_the_paper_s_number_our_reference_and_what_is_exact_have_their_columns():
    criteria = (
        Criterion("x", 0, 2, lambda _: (1.0, 1.0), expected=1.5),
        Criterion("y", 0, 2, lambda _: (1.0, 1.0), reference=1.25, by=exact),
    )
    table = evaluate([Claim("C", "", "", criteria)], results(), "smoke")
    assert table["expected"].fillna(0).tolist() == [1.5, 0]
    assert table["reference"].fillna(0).tolist() == [0, 1.25]
    assert table["exact"].tolist() == [False, True]


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


def test_a_remark_stands_in_place_of_the_explanation_where_there_is_something_to_say():
    for text, said in (("still falling", "still falling"), ("", "so it is")):
        remarked = {
            "remark": lambda criteria, _, text=text: text and f"{text} {len(criteria)}",
            "explanation": "so it is",
        }
        said = said + " 1" * bool(text)
        refuted = evaluate([claim((5, 6), **remarked)], results(), "smoke")
        assert refuted["reason"].tolist() == [f"part 1 lies outside: {said}"]
        held = evaluate([claim((0, 2), **remarked)], results(), "smoke")
        assert held["reason"].tolist() == [said if text else ""]
    unmeasured = claim((0, 2), scale="paper", remark=lambda *_: 1 / 0)
    assert verdict(unmeasured) == ("not measured", "needs scale paper")


def test_a_remark_without_its_runs_is_left_out():
    def missing(*_):
        raise Missing("no runs of other sizes")

    assert verdict(claim((0, 2), remark=missing)) == ("holds", "")
    told = verdict(claim((5, 6), remark=missing, explanation="so it is"))
    assert told == ("refuted", "part 1 lies outside: so it is")


def test_an_explanation_is_tested_beside_a_claim_that_is_refuted_and_decides_nothing():
    def missing(_):
        raise Missing("no runs of faster")

    tests = (
        Criterion("x at 0.1", 1, 3, lambda _: (2.0, 2.01, 1.99)),
        Criterion("x at 0.2", 1, 3, lambda _: (4.0, 4.01, 3.99)),
        Criterion("x at 0.3", 1, 3, lambda _: (2.0,)),
        Criterion("x at 0.4", 1, 3, missing),
    )
    said = (
        "x at 0.1 2 [1.98, 2.02], 3 seeds: as explained; x at 0.2 4 [3.98, 4.02], 3 seeds: not as explained; "
        "x at 0.3 2, 1 seed: undecided; x at 0.4: not measured"
    )
    assert verdict(claim((5, 6), tests=tests)) == ("refuted", f"part 1 lies outside: {said}")
    explained = verdict(claim((5, 6), tests=tests, explanation="it is slow"))
    assert explained == ("refuted", f"part 1 lies outside: it is slow; {said}")
    assert verdict(claim((0, 2), tests=tests)) == ("holds", "")


def test_grids_that_were_not_run_come_with_their_command():
    elsewhere = claim((0, 2))
    found = evaluate([elsewhere], results().select([]), "smoke", lambda grids: f"run {' '.join(grids)}")
    assert found["reason"].tolist() == ["not run here: run g"]
    assert evaluate([elsewhere], results(), "smoke", lambda grids: "run")["verdict"].tolist() == ["holds"]


def test_a_measure_gives_one_value_a_seed():
    with pytest.raises(ValueError, match=r"C, x: one value a seed is needed, got \(2, 2\)"):
        evaluate([claim((0, 2), values=((1.0, 1.0), (1.0, 1.0)))], results(), "smoke")


def test_a_mistaken_label_is_not_taken_for_a_missing_run():
    def mistaken(_):
        raise KeyError("layer 9")

    with pytest.raises(KeyError, match="layer 9"):
        evaluate([Claim("C", "", "", (Criterion("x", 0, 1, mistaken),))], results(), "smoke")
