import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from vgexp.networks.activations import ACTIVATIONS
from vgexp.watching.hooks.graph import activations, mark, recognized

Z = torch.linspace(-8.03, 7.97, 33).view(3, 11)


def found(phi, z=Z):
    leaf = z.clone().requires_grad_()
    output = leaf * 1
    mark(output, "here")
    return list(activations([phi(output) + 0], lambda marked: True))


@pytest.mark.parametrize(
    ("phi", "name"),
    [
        (torch.relu, "relu"),
        (F.relu, "relu"),
        (nn.ReLU(inplace=True), "relu"),
        (lambda z: z.clamp(min=0), "relu"),
        (lambda z: F.threshold(z, 0.0, 0.0), "relu"),
        (F.relu6, "relu6"),
        (F.hardtanh, "hardtanh"),
        (F.hardswish, "hardswish"),
        (F.hardsigmoid, "hardsigmoid"),
        (F.leaky_relu, "leaky_relu"),
        (torch.tanh, "tanh"),
        (nn.Tanh(), "tanh"),
        (torch.sigmoid, "sigmoid"),
        (F.elu, "elu"),
        (F.selu, "selu"),
        (F.gelu, "gelu"),
        (F.silu, "silu"),
        (F.softplus, "softplus"),
        (torch.erf, "erf"),
        (nn.LeakyReLU(0.2), "leaky_relu"),
        (nn.LeakyReLU(0.0), "leaky_relu"),
        (nn.LeakyReLU(1.5, inplace=True), "leaky_relu"),
        (nn.ELU(0.5), "elu"),
        (nn.ELU(3.0), "elu"),
        (nn.ELU(inplace=True), "elu"),
        (nn.ELU(3.0, inplace=True), "elu"),
        (nn.SELU(inplace=True), "selu"),
        (nn.CELU(2.0), "celu"),
        (nn.CELU(0.5, inplace=True), "celu"),
        (nn.Softplus(5.0), "softplus"),
        (nn.Softplus(0.5, 2.0), "softplus"),
        (nn.SiLU(inplace=True), "silu"),
        (nn.Hardtanh(inplace=True), "hardtanh"),
    ],
)
def test_activations_are_recognised_and_measured(phi, name):
    """With their own numbers, in place or not."""
    ((what, held, marked),) = found(phi)
    assert what.name == name and marked == "here" and not held.requires_grad
    torch.testing.assert_close(what.h(held), phi(Z.clone()))
    leaf = Z.clone().requires_grad_()
    slope = torch.autograd.grad(phi(leaf * 1).sum(), leaf)[0].abs()
    top = float(slope.max()) if what.own else ACTIVATIONS[name].max_slope if name in ACTIVATIONS else 1.0
    if what.law is not None:
        torch.testing.assert_close(what.law.phi(Z), phi(Z.clone()))
        torch.testing.assert_close(what.law.slope(Z).abs(), slope)
        assert what.law.max_slope == pytest.approx(top, rel=0.05)
    if phi not in (F.hardswish, F.leaky_relu):  # whose phi' is neither there nor 0
        inside = (slope - 0.04 * top).abs() > 1e-3
        assert torch.equal(what.off(held)[inside] > 0, (slope < 0.04 * top)[inside])


@pytest.mark.parametrize(
    "phi",
    [lambda z: z * 2, lambda z: z.clamp(min=1), lambda z: F.threshold(z, 1.0, 0.0), lambda z: F.hardtanh(z, -2, 2)],
)
def test_what_is_no_activation_is_not_taken_for_one(phi):
    assert found(phi) == []


def test_a_node_of_python_may_be_called_anything():
    class Relu(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, dx):
            return dx

    assert recognized(Relu.apply(Z.clone().requires_grad_()).grad_fn) is None


def test_what_is_checkpointed_is_not_computed_again():
    runs = []

    def block(z):
        runs.append(1)
        return torch.tanh(z * 1)

    output = checkpoint(block, Z.clone().requires_grad_(), use_reentrant=False)
    assert list(activations([output], lambda marked: True)) == [] and len(runs) == 1


def test_the_nearest_mark_is_the_source():
    leaf = Z.clone().requires_grad_()
    lower, upper = leaf * 1, None
    mark(lower, "lower")
    upper = torch.relu(lower) * 2
    mark(upper, "upper")
    normal = F.layer_norm(upper, (11,))
    sources = {what.name: marked for what, _, marked in activations([torch.tanh(normal)], lambda marked: True)}
    assert sources == {"tanh": "upper", "relu": "lower"}
    own = list(activations([torch.tanh(normal)], lambda marked: marked == "nothing"))
    assert [what.name for what, _, _ in own] == ["tanh"]
