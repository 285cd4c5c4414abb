import pytest
import torch
from samples import small
from walk import WAYS

from vgexp.networks.building import build
from vgexp.networks.parts import Matrix

BUILT = {way: run for way, run in WAYS.items() if way != "gated"}


def network(run, members=2):
    return build([run] * members, 64, 10, torch.device("cpu"))


@pytest.mark.parametrize("way", BUILT)
def test_a_copy_is_of_the_same_numbers_and_of_its_own(way):
    one = network(BUILT[way])
    other = one.to("cpu")
    x_MBI = torch.rand(2, 3, 64, dtype=torch.float64)
    assert torch.equal(one(x_MBI), other(x_MBI))
    with torch.no_grad():
        other.parts[1, ""].tensors["weight"].zero_()
    assert one.parts[1, ""].tensors["weight"].any()
    assert len({id(matrix.scratch) for matrix in other.matrices}) == 1
    assert one.to("meta")(x_MBI.to("meta")).shape == (2, 3, 10)


def test_matrices_are_the_parts_with_two_axes():
    one = network(BUILT["residual, two matrices"])
    assert [matrix.key for matrix in one.matrices] == list(one.parts)
    assert all(isinstance(matrix, Matrix) for matrix in one.matrices)


@pytest.mark.parametrize("family", ["plain", "residual", "reversible"])
@pytest.mark.parametrize("memory", ["store", "checkpoint"])
def test_one_layer_is_a_network_too(family, memory):
    one = network(small(model__family=family, model__depth=1, memory=memory))
    x_MBI = torch.rand(2, 3, 64, dtype=torch.float64)
    x = x_MBI @ one.parts[1, ""].tensors["weight"]
    expected = torch.tanh(x) @ one.parts[2, ""].tensors["weight"]
    torch.testing.assert_close(one(x_MBI), expected, rtol=1e-12, atol=1e-12)
    one(x_MBI).sum().backward()
