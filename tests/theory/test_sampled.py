"""Sampled theory against closed forms, against the recursions, and against wide random networks."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import small

from vgexp.config.fields import DataConfig
from vgexp.networks.activations import ACTIVATIONS
from vgexp.networks.families import FAMILIES
from vgexp.numerics.gaussian import gaussian_mean
from vgexp.results.writing import Store
from vgexp.theory import sampled
from vgexp.theory.expected import expected
from vgexp.theory.sampled import Draw, NoTheory
from vgexp.training.loop import Training


def wide(batch=10, **changes):
    return small(loss="cotangent", model__width=1000, data=DataConfig(name="digits", batch_size=batch), **changes)


def growth(run, first, last):
    """The factor that the mean square of dz grows by a layer going down, between two layers."""
    dz = expected(run)["dz_rms"].to_numpy()
    return (dz[first - 1] / dz[last - 1]) ** (2 / (last - first))


def yang(batch):
    """Growth of the mean square gradient a layer under ReLU and batch normalisation: Yang et al. (2019), theorem 8."""
    c = -1 / (batch - 1)
    j = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
    slope = (math.pi - math.acos(c)) / math.pi
    return (slope + batch - 1) / ((batch - 3) * (1 - j)) - 1 / (batch - 3)


@pytest.mark.parametrize(("batch", "tolerance"), [(5, 0.02), (8, 0.01), (16, 0.005), (64, 0.005)])
def test_batch_normalization_explodes_as_yang_et_al_say(batch, tolerance):
    run = wide(batch, model__norm="batch", model__activation="relu", model__depth=20)
    assert growth(run, 5, 17) == pytest.approx(yang(batch), rel=tolerance)


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "selu", "sigmoid"])
def test_with_a_norm_over_units_the_factor_is_that_of_the_activation(norm, name):
    """E phi'^2 / E phi^2 at unit variance, whatever the scale of the weights."""
    phi, one = ACTIVATIONS[name], torch.ones(1, dtype=torch.float64)
    slope = gaussian_mean(lambda z: phi.slope(z) ** 2, one, phi.kinks)
    chi = float(slope / gaussian_mean(lambda z: phi.phi(z) ** 2, one, phi.kinks))
    for sigma_w in (0.7, 2.8):
        run = wide(model__norm=norm, model__activation=name, model__depth=12, init__name="lecun", init__sigma_w=sigma_w)
        assert growth(run, 3, 10) == pytest.approx(chi, rel=0.005)


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("family", ["plain", "residual"])
def test_what_is_solved_is_sampled_alike(family, activation, monkeypatch):
    run = wide(model__family=family, model__activation=activation, model__depth=10, init__sigma_b=0.2)
    solved = expected(run)
    monkeypatch.setitem(FAMILIES, family, replace(FAMILIES[family], recursion=None))
    columns = ["z_rms", "h_mean", "h_std", "dz_rms", "dx_rms"]
    np.testing.assert_allclose(expected(run)[columns], solved[columns], rtol=0.02, atol=0.01)


@pytest.mark.parametrize("together", [True, False])
def test_draws_have_their_covariance_exactly(together):
    signal_1KS = torch.randn(1, 4, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    drawn_KS = Draw(torch.Generator().manual_seed(1), together)(signal_1KS, 2.0, 0.3, 60)[0]
    wanted = 2.0 * signal_1KS[0] @ signal_1KS[0].T / 50 + 0.3
    found = drawn_KS @ drawn_KS.T / 60
    if together:
        torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(found.diagonal(), wanted.diagonal())


def test_a_dense_network_that_adds_few_units_is_drawn_too():
    run = wide(64, model__family="dense", model__growth=4, model__norm="batch", model__depth=4)
    assert expected(run)["dx_rms"].iloc[:4].notna().all()


def test_the_same_run_has_the_same_theory():
    run = wide(model__norm="batch")
    assert expected(run).equals(expected(run))


WIDE = {
    "batch": {"model__norm": "batch"},
    "layer after": {"model__norm": "layer", "model__norm_at": "after"},
    # Not relu: where a unit is active on few examples of a batch, its gradient has no bound, nor a mean to be found.
    "batch after": {"model__norm": "batch", "model__norm_at": "after", "model__activation": "tanh"},
    "pre": {"model__family": "residual", "model__norm": "layer"},
    "pre, two": {"model__family": "residual", "model__branch_layers": 2, "model__norm": "batch"},
    "post": {"model__family": "residual", "model__placement": "post", "model__norm": "rms"},
    "post, two, no norm": {"model__family": "residual", "model__placement": "post", "model__branch_layers": 2},
    "highway": {"model__family": "highway", "model__gate_bias": -1.0},
    "dense": {"model__family": "dense", "model__growth": 100, "model__norm": "layer"},
    "reversible": {"model__family": "reversible", "model__branch": 0.5},
    # Not its readout: rescaled by what ten units put out, it hands down gradients that vary by a third.
    "lsuv": {"init__name": "lsuv", "init__scope": "hidden"},
    "lsuv, pre": {"init__name": "lsuv", "init__scope": "hidden", "model__family": "residual"},
}


@pytest.mark.parametrize("way", WIDE)
def test_against_wide_random_networks(way, tmp_path):
    """8 seeds of width 500, relu with biases: every mean square within 4 standard errors and 3 % of the theory.

    All of them have the same 300 cotangents, whose own mean square is taken out.
    """
    changes = {"model__activation": "relu", "model__depth": 6, "init__name": "he", "init__sigma_b": 0.2} | WIDE[way]
    run = wide(30, **changes)
    run = replace(run, model=replace(run.model, width=500), dtype="float32", steps=0)
    runs = [replace(run, seed=seed, data=replace(run.data, seed=0)) for seed in range(8)]
    training = Training(runs, Store(tmp_path))
    training.observe_and_update()
    layers = training.records.tables()["layers"]
    theory = expected(runs[0]).set_index(["layer", "part"])
    squares_of_cotangents = layers.loc[layers["layer"] == 7, "dz_rms"].iloc[0] ** 2
    for column in ("z_rms", "dz_rms", "dx_rms", "h_std"):
        known = theory[column].dropna()
        squares = layers.pivot(index="run", columns=["layer", "part"], values=column)[list(known.index)].to_numpy() ** 2
        ratio = squares / known.to_numpy() ** 2
        if column in ("dz_rms", "dx_rms"):
            ratio /= squares_of_cotangents
        error = ratio.std(0, ddof=1) / len(runs) ** 0.5
        assert (abs(ratio.mean(0) - 1) < 4 * error + 0.03).all(), (column, ratio.mean(0), error)
        assert error[:-1].max() < 0.12  # the test can tell; the readout has ten units


def test_blocks_that_look_into_their_parts_have_no_theory(monkeypatch):
    block = lambda p, layer, state: (state[0] @ p.network.parts[layer, ""].weight_MIO,)
    monkeypatch.setitem(FAMILIES, "plain", replace(FAMILIES["plain"], block=block, recursion=None))
    with pytest.raises(NoTheory, match="the blocks of the family plain do not run on draws"):
        sampled.mean_squares(small(), torch.rand(3, 64), torch.zeros(3, dtype=torch.long), 10)


def test_a_sample_that_would_not_fit_is_not_drawn():
    run = small(model__family="highway", model__width=10**8)
    with pytest.raises(NoTheory, match=r"^a sample of the network would have more than 5.4e\+08 numbers"):
        sampled.mean_squares(run, torch.rand(3, 64), torch.zeros(3, dtype=torch.long), 10)
