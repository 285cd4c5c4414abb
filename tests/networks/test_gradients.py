import numpy as np
import pytest
import torch

from vgexp.networks.gradients import FormedGradient, MatrixGradient


def signals(members=3, fan_in=20, fan_out=16, batch=4):
    g = torch.Generator().manual_seed(0)
    new = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)
    return new(members, batch, fan_in), new(members, batch, fan_out)


def norm_M(gradient):
    return torch.as_tensor(gradient.square(), dtype=torch.float64).sqrt() / gradient.batch_size


@pytest.mark.parametrize(("batch", "thin"), [(1, True), (2, True), (3, False), (40, False)])
def test_norm_and_entries_thin_and_fat(batch, thin):
    h, dz = signals(batch=batch)
    gradient = MatrixGradient(h, dz, {})
    formed = h.transpose(1, 2) @ dz / batch
    assert gradient.thin is thin
    torch.testing.assert_close(norm_M(gradient), formed.square().sum((1, 2)).sqrt())
    torch.testing.assert_close(gradient.mean("weight"), formed)
    torch.testing.assert_close(gradient.mean("bias"), dz.mean(1, keepdim=True))


@np.errstate(over="ignore")
@pytest.mark.parametrize("batch", [2, 40])
@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_norm_neither_underflows_nor_overflows_in_float32(batch, scale):
    h, dz = signals(batch=batch)
    gradient = MatrixGradient(h.float(), (dz * scale).float(), {})
    expected = (h.transpose(1, 2) @ (dz * scale) / batch).square().sum((1, 2)).sqrt()
    torch.testing.assert_close(norm_M(gradient), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("batch", [1, 40])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_adding_is_adding_the_sum_over_the_batch(batch, name):
    h, dz = signals(batch=batch)
    scale = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64).view(3, 1, 1)
    summed = h.transpose(1, 2) @ dz if name == "weight" else dz.sum(1, keepdim=True)
    target = torch.ones_like(summed)
    MatrixGradient(h, dz, {}).add_to_(name, target, scale)
    torch.testing.assert_close(target, 1 + scale * summed)


def test_matrices_of_one_shape_share_a_buffer():
    scratch = {}
    for _ in range(2):
        MatrixGradient(*signals(batch=40), scratch).form()
    assert len(scratch) == 1


def test_a_vectors_gradient():
    sum_M1N = signals()[0][:, :1]
    gradient = FormedGradient({"weight": sum_M1N}, batch_size=4)
    assert gradient.dz_MBO is None
    torch.testing.assert_close(norm_M(gradient), (sum_M1N / 4).square().sum((1, 2)).sqrt())
    torch.testing.assert_close(gradient.mean("weight"), sum_M1N / 4)
    target, scale = torch.ones_like(sum_M1N), torch.full((3, 1, 1), 2.0, dtype=torch.float64)
    gradient.add_to_("weight", target, scale)
    torch.testing.assert_close(target, 1 + 2 * sum_M1N)
