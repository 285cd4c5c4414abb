"""Extents: the smallest and the largest number of a tensor, and what is not finite in it."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Extent(NamedTuple):
    """The smallest and the largest finite entry of a tensor, and whether it has others."""

    low: float
    high: float
    nan: bool = False
    inf: bool = False

    @property
    def finite(self) -> bool:
        """Whether all entries are."""
        return not (self.nan or self.inf)

    @property
    def zero(self) -> bool:
        """Whether all entries are exactly 0."""
        return self.finite and self.low == self.high == 0

    def __str__(self) -> str:
        ends = [f"{end:.3g}" for end in dict.fromkeys((self.low, self.high)) if end == end]
        others = [name for name, there in (("nan", self.nan), ("inf", self.inf)) if there]
        return " with ".join(filter(None, (" to ".join(ends), " and ".join(others))))


def extent(x: Tensor) -> Extent:
    """The extent of a tensor of any layout and dtype. Of one without entries that can be read (a subclass that wraps
    others) it is that of zero."""
    try:
        x = entries(x.detach())
        if not x.numel():
            return Extent(0.0, 0.0)
        low, high = (float(end) for end in torch.aminmax(x))
        if math.isfinite(low) and math.isfinite(high):
            return Extent(low, high)
        nan, inf = bool(x.isnan().any()), bool(x.isinf().any())
        x = x[x.isfinite()]
        low, high = (float(end) for end in torch.aminmax(x)) if x.numel() else (math.nan, math.nan)
        return Extent(low, high, nan, inf)
    except (RuntimeError, TypeError):
        return Extent(0.0, 0.0)


def entries(x: Tensor) -> Tensor:
    """The numbers of a tensor of any layout: of a sparse one those that it holds, of complex ones both parts."""
    if x.layout is not torch.strided:
        x = (x.coalesce() if x.layout is torch.sparse_coo else x).values()
    if x.is_complex():
        x = torch.view_as_real(x.resolve_conj())
    return x.float() if x.itemsize == 1 else x


def joined(extents: Iterable[Extent]) -> Extent:
    """The extent of several tensors."""
    found = list(extents)
    finite = [x for x in found if x.low == x.low]
    low = min((x.low for x in finite), default=math.nan)
    high = max((x.high for x in finite), default=math.nan)
    return Extent(low, high, any(x.nan for x in found), any(x.inf for x in found))
