import math

import pytest
import torch

from vgexp.data import shapeset
from vgexp.numerics.seeds import generator


@pytest.fixture(scope="module")
def block():
    return shapeset.images(40_000, generator("batches", 0, 0))


def test_class_priors(block):
    _, y = block
    frequency = torch.bincount(y, minlength=9) / len(y)
    torch.testing.assert_close(frequency, shapeset.PRIORS, atol=0.008, rtol=0)
    assert float(1 - shapeset.PRIORS.max()) == pytest.approx(5 / 6)
    assert float(-(shapeset.PRIORS * shapeset.PRIORS.log()).sum()) == pytest.approx(2.110, abs=1e-3)


def test_sanity_numbers(block):
    x = block[0].float() / 255
    assert float(x.mean()) == pytest.approx(0.4985, abs=0.006)
    assert float(x.std()) == pytest.approx(0.3045, abs=0.004)
    assert float(x.square().mean().sqrt()) == pytest.approx(0.584, abs=0.006)


def test_grey_bands_and_own_grey_an_object(block):
    """The border is background; what differs from it lies in the other band, in at most two greys."""
    x, y = block
    ground = x[:, :1]
    dark = x <= shapeset.DARK[1]
    assert (dark | (x >= shapeset.LIGHT[0])).all()
    assert ((x == ground) | (dark != dark[:, :1])).all()
    greys = [image.unique() for image in x[:500]]
    counts = torch.tensor([len(grey) for grey in greys])
    assert counts.max() == 3
    single = y[:500] < 3
    assert (counts[single] == 2).all()
    assert (counts[~single] == 3).float().mean() > 0.97  # two objects seldom draw one grey


def test_objects_stay_off_the_border(block):
    x = block[0].view(-1, 32, 32)
    for edge in (x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]):
        assert (edge == x[:, :1, 0]).all()


def test_extents(block):
    """A single ellipse spans 6.4 to 25.6 pixels across, triangles and parallelograms no more than their diagonal."""
    x, y = block
    image = x[y == shapeset.ELLIPSE].view(-1, 32, 32)
    inside = image != image[:, :1, :1]
    for axis in (1, 2):
        extent = inside.any(axis).sum(1)
        assert extent.min() >= 5
        assert extent.max() <= 27


def test_ellipse_area_is_that_of_its_axes():
    """pi/4 s_x s_y averages pi/4 (16)^2, since both extents are U(6.4, 25.6)."""
    x, y = shapeset.images(20_000, generator("batches", 1, 0))
    image = x[y == shapeset.ELLIPSE]
    area = (image != image[:, :1]).sum(1).float().mean()
    assert float(area) == pytest.approx(math.pi / 4 * 16**2, rel=0.02)


def test_second_object_hides_at_most_half_of_the_first():
    """By pixels, over the images whose first object is drawn alone too: at most .505 are hidden, .10 on average."""
    g = generator("batches", 2, 0)
    kinds = torch.randint(3, (5000, 2), generator=g)
    maps, centres, fits = shapeset._place(kinds, g)
    masks = []
    for s in (0, 1):
        canvas = torch.zeros(5000, 32, 32, dtype=torch.uint8)
        ones = torch.ones(5000, dtype=torch.uint8)
        shapeset._draw(canvas, kinds[:, s], maps[:, s], centres[:, s], ones, fits)
        masks.append(canvas.bool())
    covered = (masks[0] & masks[1]).flatten(1).sum(1) / masks[0].flatten(1).sum(1).clamp(min=1)
    assert fits.float().mean() > 0.999
    assert float(covered.max()) < 0.56
    assert float(covered.mean()) == pytest.approx(0.10, abs=0.02)


@pytest.mark.parametrize("kind", [shapeset.TRIANGLE, shapeset.PARALLELOGRAM])
def test_half_planes_contain_exactly_the_polygon(kind):
    """The vertices lie on the boundary of the gauge, the middle inside, points beyond outside."""
    corners, normals = shapeset.CORNERS[kind], shapeset.NORMALS[kind]
    gauge = lambda u: (u @ normals.T).abs().amax(-1) if kind else (u @ normals.T).amax(-1)
    torch.testing.assert_close(gauge(corners), torch.ones(len(corners)))
    assert float(gauge(torch.zeros(2))) == 0
    assert (gauge(1.01 * corners) > 1).all()


def test_a_block_is_a_function_of_its_key():
    draw = lambda *key: shapeset.images(50, generator("batches", *key))
    assert torch.equal(draw(3, 4)[0], draw(3, 4)[0])
    assert not torch.equal(draw(3, 4)[0], draw(3, 5)[0])
    assert not torch.equal(draw(3, 4)[0], draw(4, 4)[0])
