"""Fixed points, phases and depth scales against recomputed tables, to the digits shown."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import small

from vgexp.networks.activations import ACTIVATIONS, Activation
from vgexp.networks.building import blueprints
from vgexp.results.reading import read
from vgexp.theory.phases import FixedPoint, critical_line, fixed_points, phase, scales
from vgexp.theory.sampled import NoTheory

INF, NAN = math.inf, math.nan
SCALED_ERF = Activation(  # slope 1 at 0
    lambda z: torch.erf(math.sqrt(math.pi) / 2 * z), lambda z: torch.exp(-math.pi / 4 * z * z)
)
PHI = ACTIVATIONS | {"scaled erf": SCALED_ERF}

# phi, sigma_w^2, sigma_b^2: q*, chi_1, c*, xi_q, xi_c, xi_grad, as texts with their digits.
TABLE = """
tanh        .5      0   0       .50000  1     1.44 1.44  1.44   ordered
tanh        .8      0   0       .80000  1     4.48 4.48  4.48   ordered
tanh        1       0   0       1.00000 1     inf  inf   inf    critical
tanh        1.2     0   .10708  1.00938 0     5.83 216.8 -107.1 chaotic
tanh        1.5     0   .28689  1.04057 0     2.75 52.4  -25.15 chaotic
tanh        2       0   .61796  1.10553 0     1.69 21.7  -9.97  chaotic
tanh        2.77778 0   1.17848 1.20983 0     1.19 12.1  -5.25  chaotic
tanh        4       0   2.12147 1.36267 0     .90  7.98  -3.23  chaotic
tanh        .9      .05 .16328  .70635  1     1.65 2.88  2.88   ordered
tanh        1       .05 .19359  .75903  1     1.75 3.63  3.63   ordered
tanh        1.3     .05 .31532  .88016  1     1.79 7.83  7.83   ordered
tanh        1.5     .05 .41804  .93864  1     1.68 15.79 15.79  ordered
tanh        1.7     .05 .53308  .98674  1     1.56 74.9  74.9   ordered
tanh        1.76095 .05 .57005  1.00000 1     1.52 inf   inf    critical
tanh        2       .05 .72176  1.04767 .7441 1.39 25.2  -21.5  chaotic
tanh        2.5     .05 1.06396 1.13352 .4468 1.18 11.8  -7.98  chaotic
tanh        4       .05 2.19549 1.34240 .1651 .87  6.98  -3.40  chaotic
erf         .7      0   0       .89127  1     8.69 8.69  8.69   ordered
erf         .785398 0   0       1.00000 1     inf  inf   inf    critical
erf         1       0   .14192  1.01690 0     4.29 120.5 -59.7  chaotic
erf         1       .05 .28843  .86759  1     1.67 7.04  7.04   ordered
erf         1.5     .05 .60175  1.03470 .8205 1.32 32.3  -29.3  chaotic
erf         2       .05 .96595  1.15465 .4345 1.07 10.2  -6.95  chaotic
scaled_erf  .9      .05 .17388  .72377  1     1.77 3.09  3.09   ordered
scaled_erf  1.5     .05 .46751  .95467  1     1.67 21.6  21.6   ordered
scaled_erf  2       .05 .80375  1.06524 .6538 1.33 19.3  -15.8  chaotic
lecun_tanh  1       0   .38244  1.01925 0     4.04 107.2 -52.4  chaotic
lecun_tanh  1       .05 .55783  .94059  1     2.37 16.3  16.3   ordered
relu        1       .05 .1      .50000  1     1.44 1.44  1.44   ordered
relu        1.5     .05 .2      .75000  1     3.48 3.48  3.48   ordered
relu        2       0   1       1.00000 1     inf  inf   inf    critical
relu        2.5     0   inf     1.25000 nan   nan  nan   -4.48  diverges
relu        2.5     .05 inf     1.25000 nan   nan  nan   -4.48  diverges
"""


@pytest.mark.parametrize("row", [line.split() for line in TABLE.strip().splitlines()], ids=" ".join)
def test_the_table_of_phases(row):
    name, w2, b2, *numbers, expected = row
    found = phase(PHI[name.replace("_erf", " erf")], math.sqrt(float(w2)), math.sqrt(float(b2)))
    assert found.name == expected
    for text, ours in zip(numbers, found[1:], strict=True):
        unit = 10.0 ** -len(text.partition(".")[2])
        assert ours == pytest.approx(float(text), abs=0.51 * unit, nan_ok=True), (text, found)


CRITICAL = {
    "tanh": (1.18919, 1.42421, 1.76095, 1.98607, 2.50513),
    "erf": (0.93258, 1.11428, 1.37584, 1.55212, 1.96307),
    "scaled erf": (1.17249, 1.38431, 1.68736, 1.89059, 2.36203),
    "lecun_tanh": (0.87354, 1.00738, 1.19623, 1.32092, 1.60467),
}


@pytest.mark.parametrize("name", CRITICAL)
def test_critical_lines(name):
    sigma_b = np.sqrt([0.001, 0.01, 0.05, 0.1, 0.3])
    line = critical_line(PHI[name], sigma_b)
    np.testing.assert_allclose(line**2, CRITICAL[name], atol=6e-6)
    words = [phase(PHI[name], share * line[2], sigma_b[2]).name for share in (0.99, 1.0, 1.01)]
    assert words == ["ordered", "critical", "chaotic"]


def test_where_no_scale_is_critical():
    assert np.isnan(critical_line(ACTIVATIONS["gelu"], np.zeros(1))).all()


def stabilities(name, w2, b2=0.0):
    return [(round(one.q, 3), one.stability) for one in fixed_points(PHI[name], math.sqrt(w2), math.sqrt(b2))]


def test_stable_unstable_half_stable_and_neutral():
    assert stabilities("tanh", 0.9) == [(0, "stable")]
    assert stabilities("tanh", 2) == [(0, "unstable"), (0.618, "stable")]
    assert stabilities("selu", 1) == [(0, "unstable"), (1, "stable")]
    for name, second in {"gelu": 0.42522, "silu": 0.35578}.items():  # the gain that keeps q = 1 does not keep it
        assert stabilities(name, 1 / second) == [(0, "stable"), (pytest.approx(1, abs=0.01), "unstable")]
    # Roberts, Yaida & Hanin (2022): lengths above 3.56 come down to it, those below leave it, to settle at 3.03.
    assert stabilities("gelu", 1.983058257437547, 0.1729223907560673) == [(3.035, "stable"), (3.562, "half-stable")]
    assert [one.stability for one in fixed_points(ACTIVATIONS["relu"], math.sqrt(2))] == ["neutral"]
    assert stabilities("relu", 2, 0.05) == []
    assert stabilities("relu", 2.5, 0.05) == []
    assert stabilities("relu", 1, 0.05) == [(0.1, "stable")]
    assert stabilities("sigmoid", 1)[0][1] == "stable"


def test_fixed_points_are_kept_and_sorted():
    from vgexp.theory.maps import length_map

    for name, w2, b2 in [("tanh", 2, 0.05), ("hardtanh", 3, 0.0), ("gelu", 2.4, 0.0), ("softplus", 0.5, 0.1)]:
        found = fixed_points(PHI[name], math.sqrt(w2), math.sqrt(b2))
        assert found == sorted(found)
        for point in found:
            if point.q > 0:
                length = torch.tensor([point.q], dtype=torch.float64)
                kept = length_map(PHI[name], math.sqrt(w2), math.sqrt(b2), length)
                assert float(kept) == pytest.approx(point.q, rel=1e-9)


def test_the_first_length_decides_where_lengths_go():
    gelu, sigma_w = ACTIVATIONS["gelu"], 1.5335
    assert phase(gelu, sigma_w, 0.0, q=0.9).name == "ordered"
    assert phase(gelu, sigma_w, 0.0, q=0.9).q_star == 0
    assert phase(gelu, sigma_w, 0.0, q=1.1).name == "diverges"
    assert phase(gelu, math.sqrt(2)).chi_1 == pytest.approx(0.5)  # He's gain: 2 phi'(0)^2, silently vanishing
    assert phase(ACTIVATIONS["relu"], math.sqrt(2), q=7.0).q_star == 7.0


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b"), [("tanh", 1.5, 0.0), ("erf", 1.3, 0.1), ("tanh", 2.0, 0.05**0.5), ("relu", 1, 0.3)]
)
def test_a_network_at_its_fixed_point_stays_there(name, sigma_w, sigma_b):
    found = phase(PHI[name], sigma_w, sigma_b)
    assert phase(PHI[name], sigma_w, sigma_b, q=found.q_star) == found


@pytest.mark.parametrize("name", ["softsign", "elu", "selu"])
@pytest.mark.parametrize("above", [1.0, 1.00001])
def test_activations_with_a_bend_at_0_are_critical_where_lengths_fall_to_it(name, above):
    """Their slope reaches its limit at 0 like the root of the length only."""
    phi = ACTIVATIONS[name]
    sigma_w = above * float(critical_line(phi, np.zeros(1))[0])
    assert phase(phi, sigma_w).name == "critical"


def test_fixed_points_at_very_small_lengths():
    (point,) = fixed_points(ACTIVATIONS["tanh"], 0.5, 1e-5)
    assert point.q == pytest.approx(1e-10 / 0.75, rel=1e-6) and point.stability == "stable"


def test_gradients_of_critical_networks_neither_vanish_nor_explode():
    """GELU and SiLU have places with chi_1 = 1 that lengths leave: those are none."""
    for name in ("gelu", "silu", "mish", "tanh", "softplus", "sigmoid"):
        for sigma_b2 in (0.01, 0.05, 0.25, 1.0, 4.0):
            (sigma_w,) = critical_line(PHI[name], np.sqrt([sigma_b2]))
            points = [] if np.isnan(sigma_w) else fixed_points(PHI[name], float(sigma_w), math.sqrt(sigma_b2))
            kept = [phase(PHI[name], float(sigma_w), math.sqrt(sigma_b2), one.q).chi_1 for one in points]
            stable = [one.stability for one, chi in zip(points, kept, strict=True) if abs(chi - 1) < 1e-6]
            assert np.isnan(sigma_w) or stable in (["stable"], ["half-stable"]), (name, sigma_b2, points)


def test_fixed_points_compare_and_print():
    assert str(FixedPoint(1.0, "stable")) == "FixedPoint(q=1.0, stability='stable')"


def test_how_deep_networks_train_is_in_the_order_of_xi_c():
    """960 committed trainings: Schoenholz et al. (2017), on either side of the critical line."""
    runs = read(Path(__file__).parents[2] / "results" / "chaos" / "small").runs
    assert len(runs) == 960 and (runs["status"] == "done").all()
    best = (
        runs.groupby(["init.sigma_w", "model.depth", "optim.lr"])["final_train_loss"].mean().groupby(level=[0, 1]).min()
    )
    found = {"ordered": [], "chaotic": [], "critical": []}
    for sigma_w, losses in best.groupby(level=0):
        trained = losses.droplevel(0).sort_index() < 1.0
        deepest = max((depth for depth in trained.index if trained.loc[:depth].all()), default=0)
        here = phase(ACTIVATIONS["tanh"], sigma_w, math.sqrt(0.05))
        found[here.name].append((here.xi_c, deepest))
    assert [len(found[name]) for name in ("ordered", "chaotic")] == [6, 5]
    for name in ("ordered", "chaotic"):
        depths = [deepest for _, deepest in sorted(found[name])]
        assert depths == sorted(depths) and depths[-1] >= 2 * depths[0], name


@pytest.mark.parametrize(
    ("fields", "sigma_w"),
    [
        ({"init__name": "standard"}, 3**-0.5),
        ({"init__name": "he"}, 2**0.5),
        ({"init__name": "he", "init__sigma_w": 0.7}, 0.7),
        ({"init__name": "glorot"}, 1.0),
        ({"init__name": "orthogonal", "init__scope": "hidden"}, 1.0),
        ({"init__name": "sparse"}, 15**0.5),
        ({"init__name": "lecun", "model__width": [8, 9, 5]}, 1.0),
        ({"init__name": "critical", "model__activation": "relu"}, 2**0.5),
    ],
)
def test_the_place_of_a_run_in_the_plane(fields, sigma_w):
    """sigma_w^2 is the variance that weights drawn for a hidden matrix have, times its inputs."""
    run = small(**{"model__width": 200} | fields, init__sigma_b=0.3)
    found = scales(run)
    assert found == pytest.approx((sigma_w, 0.3))
    matrix = next(part for part in blueprints(run, 64, 10) if part.layer == 2)
    weight_IO, _ = matrix.draw(0)
    if matrix.fan_in == 200:
        assert float(weight_IO.square().mean()) * 200 == pytest.approx(sigma_w**2, rel=0.03)


@pytest.mark.parametrize(
    "fields",
    [
        {"model__family": "residual"},
        {"model__norm": "layer"},
        {"model__depth": 1},
        {"model__width": [5, 9, 5], "init__name": "glorot"},
        {"init__name": "lsuv"},
    ],
)
def test_networks_without_a_place(fields):
    with pytest.raises(NoTheory):
        scales(small(**fields))
