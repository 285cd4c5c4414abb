import inspect
import math
import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from vgexp.numerics import norms, quantities
from vgexp.numerics.norms import PIECE, norm, safe_norm, square, total_norm


@pytest.mark.parametrize("exponent", [-40, -30, -23, 0, 20, 30])
@pytest.mark.parametrize("members", [1, 3])
def test_norm_lives_where_the_float32_sum_of_squares_does_not(exponent, members):
    x = torch.full((members, 3, 4), 2.0, dtype=torch.float32)
    x[-1] = 2.0 * 10.0**exponent  # one member's exponent is not its neighbours'
    assert norm(x).tolist() == pytest.approx([12**0.5 * 2] * (members - 1) + [12**0.5 * float(x[-1, 0, 0])], rel=1e-6)
    assert total_norm(x[-1]) == pytest.approx(12**0.5 * float(x[-1, 0, 0]), rel=1e-6)


@pytest.mark.parametrize("exponent", [-300, -160, 0, 160, 300])
@pytest.mark.parametrize("members", [1, 3])
def test_a_safe_norm_lives_where_float64s_squares_do_not(exponent, members):
    x = torch.full((members, 3, 4), 2.0, dtype=torch.float64)
    x[-1] *= 10.0**exponent
    expected = [12**0.5 * 2] * (members - 1) + [12**0.5 * 2 * 10.0**exponent]
    assert safe_norm(x).tolist() == pytest.approx(expected, rel=1e-14, abs=0)
    assert safe_norm(x.clamp(max=1e30).float())[:-1].tolist() == pytest.approx(expected[:-1])
    x[-1] = 0
    assert safe_norm(x).tolist() == pytest.approx([*expected[:-1], 0.0])
    x[-1, 0, 0] = torch.inf
    assert safe_norm(x)[-1] == torch.inf and safe_norm(x)[:-1].isfinite().all()
    x[-1, 0, 1] = torch.nan
    assert safe_norm(x)[-1].isnan() and safe_norm(x)[:-1].isfinite().all()


@pytest.mark.parametrize("shape", [(1, 1, 8192), (2, 3, 8191), (1, 1, 100_003), (3, 128, 128), (3, 200, 100)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_norms_of_large_tensors(shape, dtype):
    """Long rows are summed in pieces."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype) + 2
    expected = x.double().flatten(1).norm(dim=1)
    torch.testing.assert_close(norm(x), expected, rtol=1e-6 if dtype == torch.float32 else 1e-13, atol=0)


@pytest.mark.parametrize("shape", [(1, 64, 128), (1, 128, 128), (2, 128, 128), (1, 1000, 1000)])
def test_norms_of_equal_entries(shape):
    """The worst case: every rounding goes the same way."""
    x = torch.full(shape, 0.1)
    torch.testing.assert_close(norm(x), x.double().flatten(1).norm(dim=1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(8, 64, 128), (8, 128, 128), (2, 200, 300), (3, 1000, 900)])
def test_large_stacks_on_several_threads(shape, threads):
    """Random entries, equal ones (the worst case), and one member beyond float32's sums beside others."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for x in (torch.randn(shape, generator=torch.Generator().manual_seed(0)), torch.full(shape, 0.1)):
            torch.testing.assert_close(norm(x), x.double().flatten(1).norm(dim=1), rtol=1e-5, atol=0)
            x[1] *= 1e-30
            torch.testing.assert_close(norm(x), x.double().flatten(1).norm(dim=1), rtol=1e-5, atol=0)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_has_no_finite_norm_and_leaves_other_members_theirs(value):
    x = torch.ones(2, 3, 4)
    x[0, 1, 2] = value
    norms = norm(x)
    assert not norms[0].isfinite()
    assert norms[1].item() == pytest.approx(12**0.5)


def test_strided_members():
    """The halves of a reversible layer are views."""
    x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for half in x.chunk(2, dim=-1):
        torch.testing.assert_close(norm(half), half.flatten(1).norm(dim=1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "shape", [(1, 1, PIECE), (1, 1, PIECE + 1), (3, 2, PIECE + 1), (1, 1, 1), (3, 5, 7), (1, 10**6)]
)
def test_sums_are_taken_in_pieces_that_lose_no_digits(shape, dtype):
    x = torch.full(shape, 0.1, dtype=dtype)
    rel = 1e-6 if dtype == torch.float32 else 1e-13
    assert total_norm(x) == pytest.approx(x.double().square().sum().sqrt().item(), rel=rel)
    if x.ndim == 3:
        assert norm(x).tolist() == pytest.approx(x.double().square().sum((1, 2)).sqrt().tolist(), rel=rel)


@pytest.mark.parametrize("members", [1, 2])
def test_an_empty_batch_has_no_norm(members):
    assert norm(torch.ones(members, 0, 3)).tolist() == [0.0] * members
    assert total_norm(torch.ones(0, 3)) == 0.0


class Wrapper(Tensor):
    """A tensor without entries of its own, such as those of quantization or of distributed training."""

    @staticmethod
    def __new__(cls, inner):
        return Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        args, kwargs = tree_map_only(Wrapper, lambda wrapper: wrapper.inner, (args, kwargs or {}))
        return tree_map_only(Tensor, Wrapper, func(*args, **kwargs))


x_PQ = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
KINDS = {
    "zero": lambda: torch._efficientzerotensor((4, 6)),
    "expanded": lambda: x_PQ[:1].expand(4, 6),
    "transposed": lambda: x_PQ.T,
    "negated": lambda: torch.complex(x_PQ, x_PQ).conj().imag,
    "with gradient": lambda: x_PQ.clone().requires_grad_(),
    "parameter": lambda: torch.nn.Parameter(x_PQ),
    "bfloat16": lambda: x_PQ.bfloat16(),
    "float16": lambda: 1e-3 * x_PQ.half(),
    "complex": lambda: torch.complex(x_PQ, x_PQ),
    "conjugated": lambda: torch.complex(x_PQ, x_PQ).conj(),
    "sparse": lambda: x_PQ.relu().to_sparse(),
    "sparse rows": lambda: x_PQ.relu().to_sparse_csr(),
}


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tensor_has_a_norm(kind):
    x = KINDS[kind]()
    dense = (x.to_dense() if x.layout is not torch.strided else x).detach().clone().resolve_conj()
    expected = dense.to(torch.complex128).abs().square().sum().sqrt().item()
    assert total_norm(x) == pytest.approx(expected, rel=1e-6)
    if x.layout is torch.strided and not x.is_complex():
        for members in (1, 2):
            assert norm(torch.stack([x] * members) if members > 1 else x[None]).tolist() == pytest.approx(
                [expected] * members, rel=1e-6
            )


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.int8, torch.uint8, torch.int64])
def test_weights_of_few_bits_have_a_norm(dtype):
    x = (8 * x_PQ).abs().to(dtype)
    assert total_norm(x) == pytest.approx(x.double().norm().item(), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_a_float64_norm_lives_where_the_sum_of_squares_does_not(scale):
    x = scale * x_PQ.double()
    expected = scale * x_PQ.double().norm().item()
    for same in (x, Wrapper(x), torch.complex(x, x).conj().imag):
        assert total_norm(same) == pytest.approx(expected, rel=1e-12)


def test_a_subclass_that_wraps_a_tensor_has_the_norm_of_what_it_wraps():
    assert total_norm(Wrapper(x_PQ)) == pytest.approx(x_PQ.double().norm().item())


@pytest.fixture
def without_float64(monkeypatch):
    """The meta device in the place of one that has no float64: its tensors come to the host as ones."""
    for module in (norms, quantities):
        monkeypatch.setattr(module, "WITHOUT_FLOAT64", ("meta",))
    monkeypatch.setattr(Tensor, "cpu", lambda x: torch.ones(x.shape, dtype=x.dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int8])
def test_where_there_is_no_float64_the_host_measures(without_float64, dtype):
    x = torch.empty(1, 4, 6, device="meta", dtype=dtype)
    assert total_norm(x) == pytest.approx(math.sqrt(24))
    if dtype is torch.float32:
        assert square(x) == pytest.approx([24])
        totals, deviations = quantities.moments(x)
        assert (list(totals), list(deviations)) == ([24], [0])
        assert quantities.fraction(x > 0) == [1]


def test_a_norm_on_a_device_stays_there():
    x = torch.empty(2, 4, 6, device="meta")
    assert isinstance(total_norm(x), Tensor) and total_norm(x).device.type == "meta"
    assert norm(x).device.type == "meta"


GRADIENTS = """
import torch, vgexp

class Odd(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, odd):
        ctx.odd = odd
        return x.clone()

    @staticmethod
    def backward(ctx, dx):
        return ctx.odd(dx), None

def zero(dx):
    return torch._efficientzerotensor(dx.shape)

for odd in (Wrapper, zero):
    first, last = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)
    model = torch.nn.ModuleList([first, last])
    with vgexp.watch(model, every=1) as monitor:
        last(Odd.apply(first(torch.ones(3, 4)), odd)).sum().backward()
        monitor.step()
    print(odd.__name__, len(monitor.frame()), bool(monitor.frame()["dz_rms"][0] > 0))
"""


def test_a_process_survives_gradients_without_entries():
    code = "from torch import Tensor\nfrom torch.utils._pytree import tree_map_only\n" + inspect.getsource(Wrapper)
    done = subprocess.run([sys.executable, "-c", code + GRADIENTS], capture_output=True, text=True)
    assert done.stdout.split("\n") == ["Wrapper 2 True", "zero 2 False", ""], done.stderr
