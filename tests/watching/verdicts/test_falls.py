"""The rule on profiles by hand; the numbers that it reads are tested in test_calls."""

import math

import numpy as np
import pytest
from watched import chain, row

from vgexp.watching.verdicts.evidence import Evidence
from vgexp.watching.verdicts.falls import BRANCH, FEWEST_CALLS, fall_of, with_open_gates


def fall(rows):
    return fall_of(Evidence(0, rows, {}, {}, []))


def test_the_fall_is_that_of_the_ends_and_has_the_interval_of_a_random_walk():
    log10_L = np.cumsum(np.random.default_rng(0).normal(0.3, 0.2, 12))
    found = fall(chain(log10_L))
    assert found.decades.point == pytest.approx(log10_L[-1] - log10_L[0])
    steps = np.diff(log10_L)
    half = 2.2281388519649385 * steps.std(ddof=1) / math.sqrt(11) * 11  # Student's t at 10 degrees of freedom
    assert found.decades.high - found.decades.point == pytest.approx(half)
    assert [level.depth for level in found.levels] == list(range(12))


def test_calls_at_one_depth_are_one_level():
    """A tower that is called twice has the fall of one call on both halves of the batch, whatever their shares."""
    whole = chain([-4, -2, 0])
    split = [
        row(i + 3 * k, share * 10.0**x, 2 - i, [i + 3 * k + 1] * (i < 2))
        for k, share in enumerate((0.6, 0.8))
        for i, x in enumerate((-4, -2, 0))
    ]
    assert fall(split).decades.point == pytest.approx(fall(whole).decades.point) == pytest.approx(4.0)


def test_a_weak_branch_beside_a_strong_one_does_no_harm():
    """q and k beside v."""
    rows = [row(0, 1.0, 2, [1, 2]), row(1, 1e-5, 1, [3]), row(2, 1.0, 1, [3]), row(3, 1.0, 0)]
    found = fall(rows)
    assert found.decades.point == pytest.approx(0.0, abs=1e-9) and found.cliff is found.branch is None


def test_sources_in_the_deeper_half_are_the_bottom():
    """A bias made by a layer of its own that joins late is no bottom; one that is lost far down is a branch."""
    trunk = chain([0.0] * 7)
    side = row(7, 1e-6, 1, [6])
    assert fall([*trunk, side]).decades.point == pytest.approx(0.0, abs=1e-9) and fall([*trunk, side]).branch is None
    lost = row(8, 10 ** -(BRANCH + 1), 5, [2])
    found = fall([*trunk, lost])
    assert found.branch.below is lost and found.branch.decades == pytest.approx(BRANCH + 1)
    assert found.decades.point == pytest.approx(0.0, abs=1e-6)


def test_a_cliff_is_lost_for_good():
    assert fall(chain([-3.0, -3.1, 0.0, 0.1])).cliff.decades == pytest.approx(3.0)
    found = fall(chain([-3.0, -3.1, 0.0, 0.1])).cliff
    assert (found.above["name"], found.below["name"]) == ("l2", "l1")
    assert fall(chain([0.0, -3.0, 0.0])).cliff is None
    assert fall(chain([-1.9, 0.0])).cliff is None
    assert fall(chain([-4.0, -3.0, -2.0, -1.0, 0.0])).cliff is None


def test_calls_of_one_layer_are_no_branches():
    """As the examples of a triplet of which one is far enough already: its weights get the sum."""
    calls = [row(0, 1e-9, 2, [2], name="l0"), row(1, 1.0, 2, [2], name="l0", call=1)]
    twice = [*calls, row(2, 1.0, 1, [3]), row(3, 1.0, 0)]
    assert fall(twice).branch is None
    found = fall([*twice, row(4, 1e-9, 2, [2])])
    assert found.branch.decades == pytest.approx(9.0) and found.branch.below["name"] == "l4"


def test_a_layer_that_runs_over_time():
    """Beside a strong layer whose gradient hides it."""
    calls = [row(t, 10.0 ** (-2 * (5 - t)), 5 - t, [t + 1], name="cell", call=t) for t in range(5)]
    head, encoder = row(5, 1.0, 0), row(6, 1.0, 6, [0])
    found = fall([*calls, head, encoder])
    assert found.time.decades == pytest.approx(8.0) and found.time.above["call"] == FEWEST_CALLS - 1
    assert fall([*calls[1:], head, encoder]).time is None


def test_what_has_no_number_or_no_place_is_left_out():
    rows = chain([0.0, 0.0, 0.0, 0.0])
    rows[1] |= {"dz_norm": 0.0}
    rows.append(row(4, 1e-9, math.nan))
    rows.append(row(5, 1e-9, 3, [1], twin=True))
    found = fall(rows)
    assert [level.depth for level in found.levels] == [0, 1, 3] and found.decades.point == pytest.approx(0.0)
    alone = fall(rows[:1])
    assert math.isnan(alone.decades.point) and alone.cliff is None


def test_a_peak_that_comes_down_is_a_rise_and_no_cliff():
    """As into a class token of zeros under a norm: nothing is lost below."""
    found = fall(chain([0.0, 4.5, 0.1, 0.0]))
    assert found.cliff is None and found.rise.decades == pytest.approx(4.5) and found.rise.below["name"] == "l1"
    assert fall(chain([-3.0, 4.5, 0.1, 0.0])).cliff.decades == pytest.approx(3.0)
    assert fall(chain([0.0, 1.9, 0.1, 0.0])).rise is None


@pytest.mark.parametrize("inputs", ["indices", "none"])
def test_a_table_is_no_rise(inputs):
    """What a small table puts out is divided by its size in the norm that follows."""
    side = row(8, 10**2.5, 5, [2])
    assert fall([*chain([0.0] * 7), side]).rise.below is side
    assert fall([*chain([0.0] * 7), {**side, "inputs": inputs}]).rise is None


def test_a_table_without_an_input_is_no_branch():
    side = row(8, 10 ** -(BRANCH + 1), 5, [2])
    assert fall([*chain([0.0] * 7), side]).branch is not None
    assert fall([*chain([0.0] * 7), {**side, "inputs": "none"}]).branch is None


def test_a_table_in_front_of_a_norm_grows_only_beside_what_it_puts_out():
    """As in CLIP, whose tables put out 0.02: its norm divides by that."""
    top = chain([0.0] * 6)
    table = row(6, 10**2.1, 6, [0], inputs="indices", z_rms=0.02, operations=["NativeLayerNorm"])
    assert fall([*top, table]).decades.point == pytest.approx(-0.4, abs=0.01)
    for other in ({"operations": []}, {"z_rms": 1.0}, {"inputs": "numbers"}, {"dz_norm": 10**3.6}, {"z_rms": math.nan}):
        found = fall([*top, {**table, **other}]).decades.point
        assert found == pytest.approx(-math.log10(other.get("dz_norm", table["dz_norm"])))


def test_what_a_gate_holds_back_that_is_opening_is_not_counted():
    """The second factor of LoRA started at 0: what is below it in that branch alone gets as much as it does."""
    down, up, top = row(3, 1e-4, 2, [4]), row(4, 10**-0.2, 1, [2]), row(2, 1.0)
    closed = Evidence(0, [down, up, top], {}, {}, [])
    assert fall_of(closed).decades.point == pytest.approx(4.0) and with_open_gates(closed) is closed
    opened = with_open_gates(closed._replace(opened=["l4"]))
    assert fall_of(opened).decades.point == pytest.approx(0.2)
    assert {row["name"]: row["dz_norm"] for row in opened.rows}["l4"] == up["dz_norm"]


def test_what_is_lost_below_an_opening_gate_and_beside_it_still_counts():
    below = Evidence(0, chain([-9.0, -6.0, -3.0, 0.0]), {}, {}, [], opened=["l3"])
    assert fall_of(with_open_gates(below)).decades.point == pytest.approx(6.0)
    rows = chain([-6.0, -3.0, 0.0])
    rows[0]["above"] = [1, 2]  # a way around
    around = Evidence(0, rows, {}, {}, [], opened=["l1"])
    assert with_open_gates(around).rows == rows
