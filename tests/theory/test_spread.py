"""Spreads against random networks, made here of nothing but matrices."""

import math

import numpy as np
import pytest
import torch
from samples import small

from vgexp.networks.activations import ACTIVATIONS
from vgexp.theory.sampled import NoTheory
from vgexp.theory.spread import Spread, decades, log_gradient, squared_singular_values


def jacobians(phi, orthogonal, networks, width, layers, sigma_w, q_0=1.0):
    """Of every layer of random networks, (L, S, N, N): D W with D = diag(phi'(W h)), from one input each."""
    g = torch.Generator().manual_seed(0)
    h = torch.randn(networks, width, 1, generator=g, dtype=torch.float64) * math.sqrt(q_0)
    found = []
    for _ in range(layers):
        w = torch.randn(networks, width, width, generator=g, dtype=torch.float64) / math.sqrt(width)
        if orthogonal:
            w, r = torch.linalg.qr(w)
            w = w * r.diagonal(dim1=1, dim2=2).sign()[:, None]
        z = sigma_w * w @ h
        h = phi.phi(z)
        found.append(phi.slope(z) * sigma_w * w)
    return found


@pytest.mark.parametrize(
    ("name", "law", "per_unit"),
    [("relu", "he", 5), ("relu", "orthogonal", 3), ("identity", "lecun", 2), ("identity", "orthogonal", 0)],
)
def test_the_logarithm_of_the_gradient_is_normal(name, law, per_unit):
    """600 networks of 10 layers and 60 units: mean, variance and the mean of the square within 4 standard errors."""
    networks, width, depth = 600, 60, 11
    run = small(model__activation=name, init__name=law, model__width=width, model__depth=depth)
    predicted = log_gradient(run)
    assert predicted == pytest.approx((-per_unit * 10 / width / 2, per_unit * 10 / width))
    phi, sigma_w = ACTIVATIONS[name], math.sqrt(2) if name == "relu" else 1.0
    g = torch.Generator().manual_seed(1)
    gradient = torch.randn(networks, 1, width, generator=g, dtype=torch.float64)
    before = gradient.square().sum((1, 2))
    for jacobian in reversed(jacobians(phi, law == "orthogonal", networks, width, depth - 1, sigma_w)):
        gradient = gradient @ jacobian
    logs = (gradient.square().sum((1, 2)) / before).log().numpy()
    if per_unit == 0:
        np.testing.assert_allclose(logs, 0, atol=1e-9)
        return
    error = logs.std() / math.sqrt(networks)
    # ln(1 + x) has more than two terms: one part in twenty, at 60 units.
    assert logs.mean() == pytest.approx(predicted.mean, abs=4 * error + 0.05 * abs(predicted.mean))
    spread_of_variance = math.sqrt(2 / networks) * predicted.variance
    assert logs.var() == pytest.approx(predicted.variance, abs=4 * spread_of_variance + 0.05 * predicted.variance)


def test_leaky_relu_lies_between():
    run = small(model__activation="leaky_relu", model__negative_slope=0.5, init__name="he", model__width=50)
    ratio = (1 + 0.5**4) / 2 / ((1 + 0.5**2) / 2) ** 2
    assert log_gradient(run).variance == pytest.approx(2 / 50 * (3 * ratio - 1))


def test_every_layer_has_its_width():
    run = small(model__activation="relu", init__name="he", model__depth=3, model__width=[20, 40, 80])
    assert log_gradient(run).variance == pytest.approx(5 * (1 / 20 + 1 / 40))


def test_decades_of_amplitude():
    assert decades(Spread(-2 * math.log(10), (2 * math.log(10)) ** 2)) == pytest.approx((1.0, 1.0))


# Measured at 300 units: Gaussian relu 3.83, 15.7, 65; orthogonal relu 2.10, 8.29, 33.1; Gaussian identity 1.92, 10.1.
@pytest.mark.parametrize(
    ("name", "law", "layers", "variance"),
    [
        ("relu", "orthogonal", 2, 2),
        ("relu", "orthogonal", 8, 8),
        ("relu", "he", 2, 4),
        ("relu", "he", 8, 16),
        ("identity", "lecun", 5, 5),
        ("identity", "orthogonal", 5, 0),
        ("tanh", "lecun", 2, 2),
        ("tanh", "orthogonal", 8, 0),
    ],
)
def test_singular_values_of_products(name, law, layers, variance):
    """Two networks of 300 units, within 10 %. tanh at lengths so small that it is straight."""
    run = small(model__activation=name, init__name=law)
    q = 1e-3 if name == "tanh" else 1.0
    predicted = squared_singular_values(run, torch.full((layers,), q, dtype=torch.float64))
    assert predicted.mean == 1 and predicted.variance == pytest.approx(variance, abs=1e-4)
    phi, sigma_w = ACTIVATIONS[name], math.sqrt(2) if name == "relu" else 1.0
    product = torch.eye(300, dtype=torch.float64)
    for jacobian in jacobians(phi, law == "orthogonal", 2, 300, layers, sigma_w, q_0=q):
        product = jacobian @ product
    squared = torch.linalg.svdvals(product).square()
    measured = float((squared / squared.mean(1, keepdim=True)).var(1).mean())
    assert measured == pytest.approx(predicted.variance, rel=0.1, abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model__family": "residual"}, "the plain family without norm alone"),
        ({"model__norm": "layer"}, "the plain family without norm alone"),
        ({"init__name": "sparse"}, "no theory for the law sparse"),
        ({"model__activation": "tanh"}, "no theory for tanh"),
        ({"model__activation": "hardtanh"}, "no theory for hardtanh"),
    ],
)
def test_what_has_no_theory_is_named(changes, reason):
    with pytest.raises(NoTheory, match=reason):
        log_gradient(small(**{"model__activation": "relu"} | changes))
    if reason.endswith(("alone", "sparse")):
        with pytest.raises(NoTheory, match=reason):
            squared_singular_values(small(**changes), torch.ones(3))


def test_orthogonal_matrices_that_are_not_square_have_no_theory():
    """They project, or are projected on, which varies too."""
    run = small(model__activation="relu", model__width=[10, 20, 10], init__name="orthogonal")
    with pytest.raises(NoTheory, match="orthogonal weights where widths differ"):
        log_gradient(run)
    assert log_gradient(small(model__activation="relu", model__width=[10, 20, 10])).variance > 0


def test_spectra_need_square_matrices():
    with pytest.raises(NoTheory, match="where widths differ"):
        squared_singular_values(small(model__width=[10, 20, 10]), torch.ones(3))
