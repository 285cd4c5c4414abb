import math

import pytest
import torch
from torch import nn

from vgexp.networks.initializers import INITIALIZERS, SPARSE_INPUTS, uniform, weight_variance, weights
from vgexp.numerics.seeds import generator

FAN_IN, FAN_OUT = 400, 300


def draw(name, fan_in=FAN_IN, fan_out=FAN_OUT, seed=0, **options):
    return weights(name, fan_in, fan_out, generator("weights", seed, 1), **options)


def torch_init(init):
    """torch's weight (out, in), drawn from a generator of its own."""
    weight = torch.empty(FAN_OUT, FAN_IN, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        init(weight)
    return weight


@pytest.mark.parametrize(
    ("name", "distribution", "init"),
    [
        ("standard", "uniform", lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5))),
        ("glorot", "uniform", nn.init.xavier_uniform_),
        ("glorot", "normal", nn.init.xavier_normal_),
        ("he", "normal", lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
        ("he", "uniform", lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu")),
        ("lecun", "normal", lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear")),
        ("lecun", "uniform", lambda w: nn.init.kaiming_uniform_(w, nonlinearity="linear")),
    ],
)
def test_law_is_torchs(name, distribution, init):
    """120,000 entries: quantiles of ours and torch's agree to sampling error."""
    ours, theirs = draw(name, distribution=distribution).flatten(), torch_init(init).flatten()
    levels = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    scale, wanted = float(theirs.std()), theirs.quantile(levels)
    torch.testing.assert_close(ours.quantile(levels), wanted, atol=0.03 * scale, rtol=0)
    if distribution == "uniform":
        assert float(ours.abs().max()) == pytest.approx(float(theirs.abs().max()), rel=1e-3)


@pytest.mark.parametrize("shape", [(40, 40), (60, 30), (30, 60)])
def test_orthogonal_is_semi_orthogonal_as_torchs(shape):
    weight = draw("orthogonal", *shape, sigma_w=1.5)
    theirs = nn.init.orthogonal_(torch.empty(*shape, dtype=torch.float64), gain=1.5)
    torch.testing.assert_close(torch.linalg.svdvals(weight), torch.linalg.svdvals(theirs))


def test_orthogonal_is_haar():
    """The trace of a Haar matrix has mean 0 and variance 1; without its signs QR has a negative mean."""
    traces = torch.tensor([float(draw("orthogonal", 4, 4, seed=seed).trace()) for seed in range(2000)])
    assert abs(float(traces.mean())) < 0.1
    assert float(traces.var()) == pytest.approx(1, abs=0.15)


def test_sparse_keeps_fifteen_inputs_of_variance_one():
    weight = draw("sparse")
    assert set((weight != 0).sum(0).tolist()) == {SPARSE_INPUTS}
    assert float(weight[weight != 0].std()) == pytest.approx(1, rel=0.05)
    theirs = torch_init(lambda w: nn.init.sparse_(w.T, sparsity=1 - SPARSE_INPUTS / FAN_IN, std=1.0))
    assert set((theirs != 0).sum(1).tolist()) == {SPARSE_INPUTS}


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("sigma_w", [None, 0.7])
def test_variance_is_what_the_law_says(name, sigma_w):
    expected = weight_variance(name, sigma_w, FAN_IN, FAN_OUT)
    assert float(draw(name, sigma_w=sigma_w).square().mean()) == pytest.approx(expected, rel=0.03)


def test_all_laws_of_a_seed_share_one_draw():
    g = draw("normal", sigma_w=1.0) * math.sqrt(FAN_IN)
    torch.testing.assert_close(draw("standard"), uniform(g) / math.sqrt(3 * FAN_IN))
    torch.testing.assert_close(draw("he"), g * math.sqrt(2 / FAN_IN))
    assert not torch.equal(draw("he"), draw("he", seed=1))


def test_uniform_of_gaussian_draws_is_uniform():
    g = torch.randn(200_000, generator=generator("weights", 5), dtype=torch.float64)
    levels = torch.linspace(0, 1, 21, dtype=torch.float64)
    expected = math.sqrt(3) * (2 * levels - 1)
    torch.testing.assert_close(uniform(g[:100_000]).quantile(levels), expected, atol=0.02, rtol=0)
