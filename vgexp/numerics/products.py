"""Products of a few rows with large matrices, by the library that does them quickest.

A batch of ten rows meets a matrix of a million entries. Which library reads the matrix quickest depends on who made the
processor. On Intel's it is MKL, which `torch.bmm` calls, as long as the matrix comes first: W dz^T takes half the time
of dz W^T. On others MKL treats ten rows like a large matrix, and oneDNN, which has kernels for few rows, takes half the
time of MKL. A call of oneDNN costs more, so small layers stay with `bmm`. The figures are in benchmarks/README.md.

Which kernel is used depends on shape, type, processor and VGEXP_PRODUCTS alone, so that a run can be repeated bit by
bit. The environment variable VGEXP_PRODUCTS names one of KERNELS, or `auto`, which is the default.

Legend: M members, B batch, I fan-in, O fan-out.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from vgexp.config import ConfigError
from vgexp.numerics import processor
from vgexp.numerics.torch_private import onednn_linear

LARGE_MATRIX = 2**18
"""Entries of a matrix from which the choice of a kernel matters."""
CHOICE = "VGEXP_PRODUCTS"


class Kernel(NamedTuple):
    """The products of a layer."""

    affine: Callable[[Tensor, Tensor, Tensor], Tensor]
    """h W + b of every member: (M, B, I), (M, I, O) and (M, 1, O) to (M, B, O)."""
    times_transposed: Callable[[Tensor, Tensor], Tensor]
    """dz W^T of every member: (M, B, O) and (M, I, O) to (M, B, I)."""


def _affine(h_MBI: Tensor, weight_MIO: Tensor, bias_M1O: Tensor) -> Tensor:
    return torch.bmm(h_MBI, weight_MIO).add_(bias_M1O)  # baddbmm would copy the bias out first


def _times_transposed(dz_MBO: Tensor, weight_MIO: Tensor) -> Tensor:
    return torch.bmm(dz_MBO, weight_MIO.transpose(1, 2))


def _matrix_first(dz_MBO: Tensor, weight_MIO: Tensor) -> Tensor:
    return torch.bmm(weight_MIO, dz_MBO.transpose(1, 2)).transpose(1, 2)


def _onednn_affine(h_MBI: Tensor, weight_MIO: Tensor, bias_M1O: Tensor) -> Tensor:
    members = zip(h_MBI, weight_MIO, bias_M1O, strict=True)
    return _stack([onednn_linear(h_BI, weight_IO.T, bias_1O[0]) for h_BI, weight_IO, bias_1O in members])


def _onednn_times_transposed(dz_MBO: Tensor, weight_MIO: Tensor) -> Tensor:
    return _stack([onednn_linear(dz_BO, weight_IO, None) for dz_BO, weight_IO in zip(dz_MBO, weight_MIO, strict=True)])


def _stack(members: list[Tensor]) -> Tensor:
    return torch.stack(members) if len(members) > 1 else members[0][None]


PLAIN = Kernel(_affine, _times_transposed)
KERNELS = {
    "torch": PLAIN,
    "mkl": Kernel(_affine, _matrix_first),
    "onednn": Kernel(_onednn_affine, _onednn_times_transposed),
}
"""`torch` and `mkl` give right results with every build of torch; `onednn` needs one with oneDNN."""


@cache
def chosen() -> Kernel:
    """The kernel for large matrices of float32 on a host. Raises ConfigError for a choice that cannot be used."""
    choice = os.environ.get(CHOICE, "auto")
    usable = [name for name in KERNELS if name != "onednn" or torch.backends.mkldnn.is_available()]
    if choice == "auto":
        quickest = "mkl" if torch.backends.mkl.is_available() and processor.is_intel() else "onednn"
        choice = quickest if quickest in usable else "torch"
    if choice not in usable:
        raise ConfigError(CHOICE, choice, f"auto, {', '.join(usable)}")
    return KERNELS[choice]


def affine(h_MBI: Tensor, weight_MIO: Tensor, bias_M1O: Tensor) -> Tensor:
    """h W + b of every member, (M, B, O)."""
    return _kernel(h_MBI, weight_MIO).affine(h_MBI, weight_MIO, bias_M1O)


def times_transposed(dz_MBO: Tensor, weight_MIO: Tensor) -> Tensor:
    """dz W^T of every member, (M, B, I)."""
    return _kernel(dz_MBO, weight_MIO).times_transposed(dz_MBO, weight_MIO)


def _kernel(x: Tensor, weight_MIO: Tensor) -> Kernel:
    large = weight_MIO.shape[1] * weight_MIO.shape[2] >= LARGE_MATRIX
    return chosen() if large and x.is_cpu and x.dtype is torch.float32 else PLAIN
