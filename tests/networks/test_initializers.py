import math

import pytest
import torch
from samples import small
from torch import nn

from vgexp.config.errors import ConfigError
from vgexp.networks.activations import ACTIVATIONS, activation
from vgexp.networks.building import build
from vgexp.networks.initializers import INITIALIZERS, SPARSE_INPUTS, resolved, uniform, weight_variance, weights
from vgexp.numerics.gaussian import gaussian_mean
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


@pytest.mark.parametrize(
    ("name", "sigma_b2", "expected"),
    [
        # Schoenholz et al. (2017), section 3: points of the critical line, to the digits shown.
        ("tanh", 0.0, 1.0),
        ("tanh", 0.001, 1.18919),
        ("tanh", 0.05, 1.76095),
        ("erf", 0.0, math.pi / 4),
        ("erf", 0.3, 1.96307),
        ("lecun_tanh", 0.1, 1.32092),
        ("relu", 0.0, 2.0),
        ("relu", 0.3, 2.0),
        ("tailored", 0.05, 1.0),
    ],
)
def test_critical_weights_are_those_of_the_literature(name, sigma_b2, expected):
    init = resolved(small(model__activation=name, init__name="critical", init__sigma_b=math.sqrt(sigma_b2)))
    assert init.sigma_w is not None
    assert init.sigma_w**2 == pytest.approx(expected, abs=2e-5)
    assert init.sigma_b == math.sqrt(sigma_b2)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "softplus"])
@pytest.mark.parametrize("sigma_b", [0.0, 0.8])
def test_critical_weights_keep_gradients_where_lengths_settle(name, sigma_b):
    """chi_1 = 1 after 3000 layers of the length map; without biases lengths settle by a power of the depth alone."""
    run = small(model__activation=name, init__name="critical", init__sigma_b=sigma_b)
    init, phi, q = resolved(run), activation(run.model), torch.ones(1, dtype=torch.float64)
    assert init.sigma_w is not None and init.sigma_b >= sigma_b
    for _ in range(3000):
        q = init.sigma_w**2 * gaussian_mean(lambda z: phi.phi(z) ** 2, q, phi.kinks) + init.sigma_b**2
    chi = init.sigma_w**2 * float(gaussian_mean(lambda z: phi.slope(z) ** 2, q, phi.kinks))
    assert chi == pytest.approx(1, abs=2e-3 if sigma_b else 0.03)


def test_the_pair_of_gelu():
    """Roberts, Yaida & Hanin (2022), section 5.3: C_W = 1.983058 and C_b = 0.172923."""
    init = resolved(small(model__activation="gelu", init__name="critical"))
    assert init.sigma_w is not None
    assert (init.sigma_w**2, init.sigma_b**2) == (pytest.approx(1.983058, abs=1e-5), pytest.approx(0.172923, abs=1e-5))
    with pytest.raises(ConfigError, match=r"^init.sigma_b: got 0.2, accepts 0 for the law's own, or at least 0.4159, "):
        resolved(small(model__activation="gelu", init__name="critical", init__sigma_b=0.2))
    given = resolved(small(model__activation="gelu", init__name="critical", init__sigma_w=1.1))
    assert (given.sigma_w, given.sigma_b) == (1.1, 0.0)


def test_an_activation_without_a_critical_point():
    with pytest.raises(ConfigError, match=r"^init.name: got 'critical', accepts standard, .*=softplus, which is never"):
        resolved(small(model__activation="softplus", init__name="critical"))
    assert resolved(small(model__activation="softplus", init__name="critical", init__sigma_w=1.0)).sigma_w == 1.0


def test_critical_networks_have_the_biases_of_their_law():
    """A stack of tanh with and without biases, and the pair of GELU, of 12 hidden layers of 100 units."""
    parts = lambda *runs: build(runs, 64, 10, torch.device("cpu")).matrices
    wide = lambda **changes: small(model__depth=12, model__width=100, init__name="critical", **changes)
    tanh = [part.bias_M1O.std(-1).flatten().tolist() for part in parts(wide(), wide(init__sigma_b=0.3))[:-1]]
    assert {none for none, _ in tanh} == {0.0}
    assert math.fsum(some for _, some in tanh) / len(tanh) == pytest.approx(0.3, rel=0.06)
    gelu = torch.cat([part.bias_M1O[0, 0] for part in parts(wide(model__activation="gelu"))])
    assert float(gelu.std()) == pytest.approx(0.41584, rel=0.06)
