import numpy as np
import pytest
import torch
from drawn import assert_among, framed, heights

from vgexp.papers.glorot2010.surfaces import COSTS, DRAWS, Example, examples, figure5, gradient, grid, height, plateau


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("example", [Example(0.7, 1), Example(-1.3, 0)])
def test_heights_and_gradients_against_autograd(cost, example):
    w1, w2 = (torch.tensor(w, requires_grad=True) for w in grid())
    z = w2 * torch.tanh(w1 * example.x)
    target = torch.full_like(z, example.target)
    if cost == "quadratic":
        expected = (torch.sigmoid(z) - target) ** 2 / 2
    else:
        expected = torch.nn.functional.binary_cross_entropy_with_logits(z, target, reduction="none")
    expected.sum().backward()
    np.testing.assert_allclose(height(cost, *grid(), example), expected.detach(), atol=1e-14)
    for found, weight in zip(gradient(cost, *grid(), example), (w1, w2), strict=True):
        np.testing.assert_allclose(found, weight.grad, atol=1e-14)


def test_the_corners_of_the_papers_figure():
    """log(1 + e^4) = 4.02 and half of .982^2 = .48 where the target is missed by all that can be."""
    corner = np.array([4.0])
    assert height("cross_entropy", corner, corner, Example(1.0, 0))[0] == pytest.approx(4.02, abs=0.01)
    assert height("quadratic", corner, corner, Example(1.0, 0))[0] == pytest.approx(0.48, abs=0.01)


def test_a_large_input_flattens_the_surface():
    """Its tanh is saturated for almost every first weight."""
    for cost in COSTS:
        assert plateau(cost, Example(10.0, 1)) > plateau(cost, Example(1.0, 1))


def test_examples_are_different_and_of_both_targets():
    assert len(set(examples())) == DRAWS
    assert {example.target for example in examples()} == {0, 1}


def test_figure5_shows_the_heights():
    picture = figure5(None)
    frame = picture.frame
    assert set(frame["group"]) == {"cross-entropy", "quadratic"}
    for cost, rows in frame.groupby("group"):
        z = torch.from_numpy(np.array(rows["w2"] * np.tanh(rows["w1"])))
        p = torch.sigmoid(z)
        expected = p**2 / 2 if cost == "quadratic" else -torch.log1p(-p)
        np.testing.assert_allclose(rows["value"], expected, atol=1e-14)
        assert (rows["w1"].min(), rows["w2"].max()) == (-4, 4)
    shown = heights(picture.figure)
    assert_among(shown, framed(picture, "value"))
    assert len(shown) > 500
    (ax,) = picture.figure.axes
    assert list(ax.get_xticks()) == list(ax.get_yticks()) == [-4, 0, 4]
