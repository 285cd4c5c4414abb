"""Products with large matrices, by the library that does them quickest.

A batch of ten rows meets a matrix of a million entries: which library reads it quickest depends on who made the
processor. On Intel's it is MKL, which `torch.bmm` calls, as long as the matrix comes first: W dz^T takes half the time
of its transpose. On others MKL treats ten rows as a product of large matrices, and oneDNN, which has kernels for few
rows, takes half the time of MKL; a call costs it more, so that small layers stay with `bmm`. numpy's tanh takes a
seventh of the time of torch's on one thread, to the same last digit; but as a function of our own it costs autograd 20
microseconds more. Which is used is decided by shape, type and processor alone, so that a run can be repeated bit by
bit. The figures are in benchmarks/README.md.

Legend: M members, B batch, I fan-in, O fan-out, P and Q any.
"""

import platform
from pathlib import Path

import torch
from torch import Tensor

from vgexp.numerics.torch_private import onednn_linear

LARGE = 2**18
"""Entries of a matrix from which it matters how few rows meet it."""
DESCRIBED = Path("/proc/cpuinfo")


def made_by_intel() -> bool:
    """Whether the processor is Intel's; where nobody says, no."""
    if not DESCRIBED.exists():
        return "GenuineIntel" in platform.processor()
    with DESCRIBED.open() as described:  # a block for each core; the first one's second line says it
        return "GenuineIntel" in described.read(200)


ONEDNN = torch.backends.mkldnn.is_available() and not (torch.backends.mkl.is_available() and made_by_intel())
"""Whether oneDNN multiplies large matrices, instead of MKL."""


def affine(h_MBI: Tensor, weight_MIO: Tensor, bias_M1O: Tensor) -> Tensor:
    """h W + b of every member, (M, B, O)."""
    if not (ONEDNN and _large(h_MBI, weight_MIO)):
        return torch.bmm(h_MBI, weight_MIO).add_(bias_M1O)  # baddbmm would copy the bias out first
    members = zip(h_MBI, weight_MIO, bias_M1O, strict=True)
    return _stack([onednn_linear(h_BI, weight_IO.T, bias_1O[0]) for h_BI, weight_IO, bias_1O in members])


def times_transposed(dz_MBO: Tensor, weight_MIO: Tensor) -> Tensor:
    """dz W^T of every member, (M, B, I)."""
    if not _large(dz_MBO, weight_MIO):
        return torch.bmm(dz_MBO, weight_MIO.transpose(1, 2))
    if not ONEDNN:
        return torch.bmm(weight_MIO, dz_MBO.transpose(1, 2)).transpose(1, 2)
    return _stack([onednn_linear(dz_BO, weight_IO, None) for dz_BO, weight_IO in zip(dz_MBO, weight_MIO, strict=True)])


def _host(x: Tensor) -> bool:
    return x.is_cpu and x.dtype == torch.float32


def _large(x: Tensor, weight_MIO: Tensor) -> bool:
    return _host(x) and weight_MIO[0].numel() >= LARGE


def _stack(members: list[Tensor]) -> Tensor:
    return torch.stack(members) if len(members) > 1 else members[0][None]
