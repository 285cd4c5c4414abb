import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vgexp.numerics import quantities
from vgexp.numerics.norms import norm

arrays = hnp.arrays(np.float64, (2, 5, 7), elements=st.integers(-(10**6), 10**6).map(float))


@given(arrays)
def test_moments_are_numpys(x):
    t = torch.from_numpy(x)
    scale = np.abs(x).max() + 1e-300
    sums, deviations = quantities.moments(t)
    for ours, numpys in (
        (np.divide(sums, 35), x.mean((1, 2))),
        (np.sqrt(np.divide(deviations, 35)), x.std((1, 2))),
        (norm(t).numpy(), np.sqrt(((x / scale) ** 2).sum((1, 2))) * scale),
        (quantities.largest(t).numpy(), np.abs(x).max((1, 2))),
    ):
        np.testing.assert_allclose(ours, numpys, atol=1e-10 * scale)


@given(arrays, st.sampled_from([2, 50, 98]))
def test_percentile_is_numpys_nearest(x, p):
    ours = quantities.percentile(p)(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(ours, np.percentile(x.reshape(2, -1), p, axis=1, method="nearest"))


def test_std_of_a_nearly_constant_tensor():
    """A saturated sigmoid: mean 0.5, std 1e-4, which the difference of squares would lose in float32."""
    x = 0.5 + 1e-4 * torch.randn(1, 300, 1000, generator=torch.Generator().manual_seed(0))
    assert std(x).item() == pytest.approx(1e-4, rel=0.01)


def test_saturation_and_dead():
    slope = torch.tensor([[[1.0, 0.03, 0.0], [0.039, 0.5, 0.0]]])
    assert quantities.saturation(slope) == pytest.approx([4 / 6])
    assert quantities.dead(slope) == pytest.approx([1 / 3])


@given(hnp.arrays(np.float64, (2, 6, 5), elements=st.integers(-1000, 1000).map(float), unique=True))
def test_histogram_is_numpys(x):
    x = x + np.sqrt(2) * 1e-3 * np.arange(30).reshape(6, 5)  # no value on an inner edge
    edges, density = quantities.histogram(torch.from_numpy(x), bins=8)
    for m in range(2):
        counts, expected = np.histogram(x[m], bins=8)
        np.testing.assert_allclose(edges[m].numpy(), expected, atol=1e-9)
        width = np.diff(expected)
        ours = density[m].numpy() * x[m].size * width
        assert ours.sum() == pytest.approx(x[m].size)
        assert np.abs(ours - counts).sum() <= 2 + 1e-6  # a value on an edge may fall to either side


def test_histogram_of_a_member_that_is_not_finite():
    x = torch.zeros(2, 3, 4, dtype=torch.float64)
    x[0] = torch.arange(12).view(3, 4)
    x[1, 0, 0] = torch.nan
    _, density = quantities.histogram(x, bins=4)
    assert torch.isfinite(density[0]).all()
    assert density[1].isnan().all()


def test_singular_values_are_the_roots_of_the_eigenvalues_of_a_product():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 5)))
    squares = np.linalg.eigvalsh((x @ x.mT).numpy())[:, ::-1]
    np.testing.assert_allclose(quantities.singular_values(x), np.sqrt(squares), rtol=1e-9)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_singular_values_of_a_member_that_is_not_finite(value):
    x = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    x[1, 0, 1] = value
    found = quantities.singular_values(x)
    assert found[0].tolist() == [1, 1, 1] and found[1].isnan().all()


def std(x):
    return (torch.as_tensor(quantities.moments(x)[1], dtype=torch.float64) / x[0].numel()) ** 0.5


@given(st.floats(-3, 3), st.floats(1e-4, 10), st.sampled_from([(2, 20, 30), (1, 20, 30), (1, 64, 128), (1, 100, 300)]))
def test_std_in_float32_is_that_of_float64(mean, spread, shape):
    x = mean + spread * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(std(x), x.double().flatten(1).std(1, correction=0), rtol=1e-4, atol=0, check_dtype=False)
