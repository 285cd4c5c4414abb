import torch
from torch import Tensor, nn

from vgexp.watching.tracing.arguments import assigns, inputs, memory, name_of, valued


def test_tensors_are_found_with_their_part_of_the_graph():
    weight, x = nn.Parameter(torch.ones(2)), torch.ones(2)
    product = weight * x
    first, second, third = inputs([weight, {"x": x}, (product, 3)])
    assert (first.x is weight, first.node, first.requires_grad) == (True, None, True)
    assert (second.node, second.requires_grad) == (None, False)
    assert third.node is product.grad_fn


def test_operations_are_named_as_people_write_them():
    assert name_of(torch.argmax) == "argmax"
    assert name_of(Tensor.data.__get__) == name_of(Tensor.data.__set__) == "data"
    assert (name_of(Tensor.__float__), name_of(Tensor.__array__), name_of(Tensor.detach_)) == (
        "float",
        "numpy",
        "detach",
    )
    assert assigns(Tensor.data.__set__) and assigns(Tensor.__setitem__) and not assigns(Tensor.data.__get__)


def test_of_some_arguments_the_shape_alone_counts():
    x, y = torch.ones(2), torch.zeros(2)
    assert valued("zeros_like", (x,), {}) == ((), {})
    assert valued("view_as", (x, y), {}) == (x,) and valued("add", (x, y), {"alpha": 2}) == ((x, y), {"alpha": 2})


def test_views_share_a_memory():
    x = torch.ones(4)
    assert memory(x) is memory(x[1:].view(3, 1)) and memory(x) is not memory(x.clone())
    sparse = torch.eye(3).to_sparse()
    assert memory(sparse) is sparse
