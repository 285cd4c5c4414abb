import math

import pytest
import torch
from samples import small
from torch import nn

from vgexp.networks.activations import ACTIVATIONS
from vgexp.networks.building import blueprints, build
from vgexp.networks.families.plain import FAMILY
from vgexp.numerics.averages import averages


def test_shapes_by_width():
    shapes = [(part.fan_in, part.fan_out) for part in blueprints(small(model__width=[5, 6, 7]), 64, 10)]
    assert shapes == [(64, 5), (5, 6), (6, 7), (7, 10)]


def test_forward_is_that_of_nn_sequential():
    network = build([small(init__sigma_b=0.3)], 64, 10, torch.device("cpu"))
    model = nn.Sequential(
        *(layer for i in (64, 12, 12) for layer in (nn.Linear(i, 12), nn.Tanh())), nn.Linear(12, 10)
    ).double()
    linears = [layer for layer in model if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for linear, part in zip(linears, network.parts.values(), strict=True):
            linear.weight.copy_(part.tensors["weight"][0].T)
            linear.bias.copy_(part.tensors["bias"][0, 0])
    x = torch.rand(3, 64, dtype=torch.float64)
    torch.testing.assert_close(network(x[None])[0], model(x), rtol=1e-13, atol=1e-13)


def test_the_recursion_of_a_linear_network_is_a_product():
    """Glorot & Bengio (2010), eq. 13: standard initialisation divides mean squares by 3 a layer, both ways."""
    run = small(model__activation="identity", init__name="standard", model__depth=4)
    parts = {part.key: part for part in blueprints(run, 64, 12)}
    signals, backward = FAMILY.recursion(
        parts, run, averages(ACTIVATIONS["identity"]), torch.tensor([2.0], dtype=torch.float64)
    )
    gradients = backward(torch.tensor([1.0], dtype=torch.float64))
    assert [float(signals[layer, ""]["z"]) for layer in range(1, 6)] == pytest.approx([2 / 3**n for n in range(1, 6)])
    assert [float(gradients[layer, ""]["dz"]) for layer in range(5, 0, -1)] == pytest.approx(
        [1 / 3**n for n in range(5)]
    )
    assert float(gradients[3, ""]["dx"]) == float(gradients[3, ""]["dz"])  # phi' = 1
    assert "dx" not in gradients[5, ""] and math.isclose(float(signals[4, ""]["h_mean"]), 0, abs_tol=1e-15)
