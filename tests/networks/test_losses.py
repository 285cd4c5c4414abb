"""Losses against torch.nn, member by member."""

import math

import pytest
import torch
from torch import nn

from vgexp.networks.losses import LOSSES, cotangent, cross_entropy, quadratic

M, B, C = 3, 5, 4


@pytest.fixture
def z_MBC():
    return torch.randn(M, B, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.fixture
def y_MB():
    return torch.randint(C, (M, B), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_cross_entropy_is_torchs(z_MBC, y_MB, scale):
    theirs = nn.CrossEntropyLoss(reduction="none")
    for ours_B, z_BC, y_B in zip(cross_entropy(scale * z_MBC, y_MB), scale * z_MBC, y_MB, strict=True):
        torch.testing.assert_close(ours_B, theirs(z_BC, y_B))


def test_equal_outputs_know_nothing(y_MB):
    even_MB = cross_entropy(torch.zeros(M, B, C, dtype=torch.float64), y_MB)
    torch.testing.assert_close(even_MB, torch.full((M, B), math.log(C), dtype=torch.float64))


def test_quadratic_is_half_of_torchs_squared_error(z_MBC, y_MB):
    theirs = nn.MSELoss(reduction="none")
    for ours_B, z_BC, y_B in zip(quadratic(z_MBC, y_MB), z_MBC, y_MB, strict=True):
        target_BC = torch.eye(C, dtype=torch.float64)[y_B]
        torch.testing.assert_close(ours_B, theirs(z_BC, target_BC).sum(1) / 2)


def test_the_gradient_of_a_cotangent_is_the_cotangent(z_MBC):
    xi_MBC = torch.randn(M, B, C, dtype=torch.float64)
    cotangent(z_MBC, xi_MBC).sum().backward()
    assert torch.equal(z_MBC.grad, xi_MBC)


@pytest.mark.parametrize("name", LOSSES)
def test_one_number_an_example_that_feels_no_other(name, z_MBC, y_MB):
    target = torch.randn(M, B, C, dtype=torch.float64) if name == "cotangent" else y_MB
    loss_MB = LOSSES[name](z_MBC, target)
    assert loss_MB.shape == (M, B) and loss_MB.dtype == torch.float64
    loss_MB[1, 2].backward()
    others_MBC = z_MBC.grad.clone()
    others_MBC[1, 2] = 0
    assert not others_MBC.any() and z_MBC.grad[1, 2].any()
