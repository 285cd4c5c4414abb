"""Shapeset-3x2: an endless stream of small images of one or two overlapping shapes.

The data set of Glorot & Bengio (2010), section 2.1, after the author's generator: 32 x 32 grey pixels,
triangles, parallelograms and ellipses, nine classes of unequal frequency (the majority class alone is wrong
on 5/6). Constant fills, one grey an object, no noise, no antialiasing.

Everything is drawn for a whole block at once; polygons are half planes under one affine map, so that a shape
is the region where a gauge of the base shape is at most 1.

Legend: K images, S = 2 objects an image, P = 32 pixels a side, V vertices; 2: x and y.
"""

import math

import torch
from torch import Generator, Tensor

SIDE = 32
PIXELS = SIDE * SIDE
CLASSES = 9
TRIANGLE, PARALLELOGRAM, ELLIPSE = range(3)
CLASS_OF_PAIR = torch.tensor([[6, 3, 5], [3, 7, 4], [5, 4, 8]])
"""Two objects, whatever their order: TT 6, PP 7, EE 8, TP 3, PE 4, TE 5. One object: its type."""
PRIORS = torch.tensor([3, 3, 3, 2, 2, 2, 1, 1, 1]) / 18

DARK, LIGHT = (0, 114), (140, 255)
SCALE = (0.2, 0.8)
ANGLES = 255
OVERLAP = 0.5
MAX_REJECTIONS = 50

VERTICES = (3, 4, 20)
"""The author draws the ellipse as a 20-gon; here it is one, but rotates and is weighed by its area as his."""
AREA = torch.tensor([n * math.sin(2 * math.pi / n) / (2 * math.pi) for n in VERTICES])


def _polygon(n: int) -> Tensor:
    """Vertices (n, 2) of the regular n-gon on the circle of radius 1/2, with a level edge."""
    angle = 2 * math.pi * (1 / (2 * n) + 1 / 4 + torch.arange(n) / n)
    return torch.stack([angle.cos(), angle.sin()], dim=-1) / 2


def _normals(vertices_V2: Tensor) -> Tensor:
    """Outward normals (V, 2), scaled so that the polygon is max_v n_v . u <= 1."""
    middle_V2 = (vertices_V2 + vertices_V2.roll(-1, 0)) / 2
    return middle_V2 / middle_V2.square().sum(-1, keepdim=True)


CORNERS = (_polygon(3), _polygon(4))
NORMALS = (_normals(_polygon(3)), _normals(_polygon(4))[:2])  # opposite sides share |n . u|


def images(count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """`count` images (count, 1024) in uint8 and their classes (count,).

    >>> x, y = images(3, Generator().manual_seed(0))
    >>> x.shape, x.dtype, y.shape
    (torch.Size([3, 1024]), torch.uint8, torch.Size([3]))
    """
    type_K2 = torch.randint(3, (count, 2), generator=generator)
    map_K222, centre_K22, two_K = _place(type_K2, generator)
    two_K &= torch.rand(count, generator=generator) < 0.5
    grey_K3 = _greys(count, generator)
    image_KPP = grey_K3[:, 0, None, None].repeat(1, SIDE, SIDE)
    for s, drawn_K in ((0, torch.ones(count, dtype=torch.bool)), (1, two_K)):
        _draw(image_KPP, type_K2[:, s], map_K222[:, s], centre_K22[:, s], grey_K3[:, s + 1], drawn_K)
    label_K = torch.where(two_K, CLASS_OF_PAIR[type_K2[:, 0], type_K2[:, 1]], type_K2[:, 0])
    return image_KPP.flatten(1), label_K


def _greys(count: int, generator: Generator) -> Tensor:
    """Background and two objects (K, 3): background from one band, each object its own grey from the
    other."""
    dark_K3 = torch.randint(DARK[0], DARK[1] + 1, (count, 3), generator=generator, dtype=torch.uint8)
    light_K3 = torch.randint(LIGHT[0], LIGHT[1] + 1, (count, 3), generator=generator, dtype=torch.uint8)
    dark_ground_K1 = torch.rand(count, 1, generator=generator) < 0.5
    is_dark_K3 = torch.cat([dark_ground_K1, ~dark_ground_K1, ~dark_ground_K1], dim=1)
    return torch.where(is_dark_K3, dark_K3, light_K3)


def _rotation(angle: Tensor) -> Tensor:
    """Matrices (..., 2, 2) that turn a column vector by `angle`."""
    c, s = angle.cos(), angle.sin()
    return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)


def _place(type_K2: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Affine maps (K, 2, 2, 2) and centres (K, 2, 2) of both objects, and whether a second one fits (K,).

    A second object that hides too much of the first has its scale and place (not its angles) drawn again, at
    most 50 times.
    """
    count = len(type_K2)
    spread_K2 = math.pi / torch.tensor(VERTICES)[type_K2]
    first_K2 = (2 * torch.rand(count, 2, generator=generator) - 1) * spread_K2
    last_K2 = torch.randint(ANGLES, (count, 2), generator=generator) * (2 * math.pi / ANGLES)
    # Turning before the axes are scaled makes the polygons irregular.
    turn_K222, back_K222 = _rotation(first_K2), _rotation(last_K2)

    def scaled(turn: Tensor, back: Tensor) -> tuple[Tensor, Tensor]:
        """Maps with fresh extents of 20 to 80 % of the side, and the extents' product."""
        low, high = (SIDE * bound for bound in SCALE)
        size = low + (high - low) * torch.rand(*turn.shape[:-2], 2, generator=generator)
        return (back * size.unsqueeze(-2)) @ turn, size.prod(-1)

    map_K222, product_K2 = scaled(turn_K222, back_K222)
    centre_K22 = _centres(type_K2, map_K222, generator)
    area_K2 = product_K2 * AREA[type_K2]
    pending = _hides_too_much(type_K2, map_K222, centre_K22, area_K2).nonzero().flatten()
    for _ in range(MAX_REJECTIONS):
        if not len(pending):
            break
        map_new, product_new = scaled(turn_K222[pending, 1], back_K222[pending, 1])
        kind = type_K2[pending]
        map_K222[pending, 1], area_K2[pending, 1] = map_new, product_new * AREA[kind[:, 1]]
        centre_K22[pending, 1] = _centres(kind[:, 1], map_new, generator)
        again = _hides_too_much(kind, map_K222[pending], centre_K22[pending], area_K2[pending])
        pending = pending[again]
    fits_K = torch.ones(count, dtype=torch.bool)
    fits_K[pending] = False
    return map_K222, centre_K22, fits_K


def _reach(kind: Tensor, map_22: Tensor, direction_2: Tensor) -> Tensor:
    """How far each shape reaches from its centre along a direction: max over the shape of p . direction."""
    pulled_2 = (map_22 * direction_2.unsqueeze(-1)).sum(-2)  # direction in base coordinates
    ellipse = pulled_2.norm(dim=-1) / 2
    triangle, square = ((pulled_2 @ corners.T).amax(-1) for corners in CORNERS)
    return torch.where(kind == ELLIPSE, ellipse, torch.where(kind == TRIANGLE, triangle, square))


def _centres(kind: Tensor, map_22: Tensor, generator: Generator) -> Tensor:
    """Centres, uniform over all places that keep the shape a pixel away from the border, per axis."""
    axes = torch.eye(2)
    low = torch.stack([_reach(kind, map_22, -axis.expand(*kind.shape, 2)) for axis in axes], -1) + 1
    high = SIDE - 1 - torch.stack([_reach(kind, map_22, axis.expand(*kind.shape, 2)) for axis in axes], -1)
    return low + (high - low) * torch.rand(low.shape, generator=generator)


def _hides_too_much(kind_K2: Tensor, map_K222: Tensor, centre_K22: Tensor, area_K2: Tensor) -> Tensor:
    """The author's analytic rule, which estimates the overlap from the reaches of the two objects."""
    apart_K2 = centre_K22[:, 1] - centre_K22[:, 0]
    distance_K = apart_K2.norm(dim=-1).clamp(min=1e-6)
    towards_K2 = apart_K2 / distance_K[:, None]
    reach_K = _reach(kind_K2[:, 0], map_K222[:, 0], towards_K2) + _reach(kind_K2[:, 1], map_K222[:, 1], -towards_K2)
    overlap_K = 1 - torch.exp2(-(reach_K - distance_K) / distance_K)
    return (reach_K >= distance_K) & (overlap_K * area_K2[:, 1] / area_K2[:, 0] > OVERLAP)


def _draw(
    image_KPP: Tensor, kind_K: Tensor, map_K22: Tensor, centre_K2: Tensor, grey_K: Tensor, drawn_K: Tensor
) -> None:
    """Fills one object of each image where `drawn`, in place."""
    inverse_K22 = torch.linalg.inv(map_K22)
    for kind in (TRIANGLE, PARALLELOGRAM, ELLIPSE):
        for index in ((kind_K == kind) & drawn_K).nonzero().flatten().split(256):  # blocks that fit the cache
            forms_V2 = 2 * torch.eye(2) if kind == ELLIPSE else NORMALS[kind]
            linear_KV2 = forms_V2 @ inverse_K22[index]
            offset_KV = (linear_KV2 * centre_K2[index, None]).sum(-1)
            pixel_P = torch.arange(SIDE) + 0.5
            along_x_KVP = linear_KV2[..., :1] * pixel_P - offset_KV[..., None]
            along_y_KVP = linear_KV2[..., 1:] * pixel_P
            values_KPP = [along_x_KVP[:, v, :, None] + along_y_KVP[:, v, None, :] for v in range(len(forms_V2))]
            if kind == TRIANGLE:
                inside_KPP = torch.maximum(torch.maximum(*values_KPP[:2]), values_KPP[2]) <= 1
            elif kind == PARALLELOGRAM:
                inside_KPP = torch.maximum(values_KPP[0].abs_(), values_KPP[1].abs_()) <= 1
            else:
                inside_KPP = values_KPP[0].square_().add_(values_KPP[1].square_()) <= 1
            image_KPP[index] = torch.where(inside_KPP, grey_K[index, None, None], image_KPP[index])
