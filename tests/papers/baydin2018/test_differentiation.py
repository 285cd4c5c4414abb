import pytest
import torch

from vgexp.papers.baydin2018.differentiation import flops, forward, matrices, network, numeric, point, reverse, symbolic


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_four_ways_one_gradient(seed, depth):
    weights, x = matrices(seed, 6, 9, depth), point(seed, 6)
    f = network(weights)
    expected = torch.func.grad(f)(x)
    for found in (reverse(f, x), forward(f, x), symbolic(weights, x)):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(numeric(f, x, 1e-7, central=False), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(numeric(f, x, 1e-5, central=True), expected, rtol=1e-7, atol=1e-9)


def test_products_are_counted():
    weights, x = matrices(0, 6, 9, 3), point(0, 6)
    assert flops(lambda: network(weights)(x)) == 2 * (6 * 9 + 9 * 9 + 9 * 9)


def test_draws_are_those_of_the_seed():
    assert all(torch.equal(a, b) for a, b in zip(matrices(3, 4, 5, 2), matrices(3, 4, 5, 2), strict=True))
    assert not torch.equal(point(0, 4), point(1, 4))
