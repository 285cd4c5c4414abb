import ast
import threading
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from vgexp.numerics import torch_private

PACKAGE = Path(torch_private.__file__).parent.parent


def test_in_backward_is_true_there_and_on_that_thread_alone():
    seen = {}

    def look(grad):
        seen["inside"] = torch_private.in_backward()
        other = threading.Thread(target=lambda: seen.update(elsewhere=torch_private.in_backward()))
        other.start()
        other.join()

    x = torch.ones(2, requires_grad=True)
    x.register_hook(look)
    assert not torch_private.in_backward()
    x.sum().backward()
    assert seen == {"inside": True, "elsewhere": False}
    assert not torch_private.in_backward()


def test_the_node_that_runs_is_that_of_the_tensor_and_older_than_what_is_downstream():
    seen = []
    x = torch.ones(2, requires_grad=True)
    lower = x * 2
    upper = lower.exp()
    lower.register_hook(lambda _: seen.append((torch_private.current_node(), torch_private.graph_task())))
    upper.sum().backward(retain_graph=True)
    upper.sum().backward()
    (node, first), (_, second) = seen
    assert node is lower.grad_fn and first != second and min(first, second) >= 0
    assert torch_private.sequence(lower.grad_fn) < torch_private.sequence(upper.grad_fn)
    assert torch_private.current_node() is None and torch_private.graph_task() == -1


def test_the_whole_of_a_view_has_the_same_entries_in_the_same_order():
    x = torch.ones(6, requires_grad=True) * 2
    assert torch_private.whole(x.view(2, 3)) is x and torch_private.whole(x) is x
    for other in (x[:4], x.view(2, 3).T, torch.ones(6).view(2, 3)):
        assert torch_private.whole(other) is other


@pytest.mark.parametrize("transform", [torch.vmap, torch.func.grad, torch.func.functionalize])
def test_tensors_of_a_transform_are_known(transform):
    seen = []

    def look(x):
        seen.append(torch_private.is_transformed(x))
        return x.sum()

    transform(look)(torch.ones(2))
    assert seen == [True]
    assert not torch_private.is_transformed(torch.ones(2))


@pytest.mark.parametrize("transform", [torch.vmap, torch.func.grad, torch.func.functionalize])
def test_the_tensor_beneath_a_transform_is_autograds(transform):
    weight, seen = torch.ones(2, 3, requires_grad=True), []

    def look(x):
        y = x * weight
        seen.append(torch_private.untransformed(y))
        return y.sum()

    transform(look)(torch.ones(2, 3))
    assert not torch_private.is_transformed(seen[0]) and type(seen[0].grad_fn).__name__ == "MulBackward0"
    assert torch_private.untransformed(weight) is weight


@pytest.mark.filterwarnings("ignore")  # those of torch on its first compilation
def test_compiled_modules_are_known():
    assert not torch_private.is_compiled(nn.Linear(2, 2))
    assert torch_private.is_compiled(torch.compile(nn.Linear(2, 2)))
    in_place = nn.Linear(2, 2)
    in_place.compile()
    assert torch_private.is_compiled(in_place)


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus", "hardtanh"])
def test_an_activation_saves_its_input_or_its_result(name):
    z = torch.randn(5, requires_grad=True)
    h = getattr(F, name)(z)
    results = {"relu": h, "tanh": h, "sigmoid": h}
    saved = torch_private.saved_tensor(h.grad_fn, "result" if name in results else "self")
    assert saved is not None and not saved.requires_grad
    assert torch.equal(saved, results.get(name, z))
    assert torch_private.saved_tensor(h.grad_fn, "anything_else") is None


def test_what_is_registered_as_a_buffer_is_known():
    module = nn.Module()
    buffers, left_out = torch_private.registered(module)
    module.register_buffer("mask", None)
    module.register_buffer("cache", torch.ones(2), persistent=False)
    assert buffers == {"mask": None, "cache": module.cache} and left_out == {"cache"}


def test_what_a_node_saves_is_known_by_name():
    z = torch.ones(3, requires_grad=True)
    out_of_place, in_place = F.elu(z).grad_fn, F.elu(z * 1, inplace=True).grad_fn
    for node, name, other in ((out_of_place, "self", "result"), (in_place, "result", "self")):
        assert torch_private.saves(node, name) and not torch_private.saves(node, other)


def test_what_was_overwritten_or_freed_is_not_a_saved_tensor():
    h = torch.ones(3, requires_grad=True).tanh()
    node = h.grad_fn
    h.mul_(2)
    assert torch_private.saved_tensor(node, "result") is None
    h = torch.ones(3, requires_grad=True).tanh()
    h.sum().backward()
    assert torch_private.saved_tensor(h.grad_fn, "result") is None


def test_what_a_checkpoint_would_compute_anew_is_not_a_saved_tensor():
    runs = []

    def tanh(z):
        runs.append(z)
        return torch.tanh(z)

    h = checkpoint(tanh, torch.ones(3, requires_grad=True), use_reentrant=False)
    assert isinstance(h, torch.Tensor)
    assert torch_private.saved_tensor(h.grad_fn, "result") is None
    assert len(runs) == 1


def test_saved_numbers():
    z = torch.randn(5, requires_grad=True)
    assert torch_private.saved_number(F.elu(z).grad_fn, "scale") == 1
    assert torch_private.saved_number(F.selu(z).grad_fn, "scale") == pytest.approx(1.0507009873554805)
    assert torch_private.saved_number(F.hardtanh(z).grad_fn, "min_val") == -1
    assert torch_private.saved_number(F.threshold(z, 0.5, 0).grad_fn, "threshold") == 0.5
    clamped = z.clamp(min=0).grad_fn
    assert (torch_private.saved_number(clamped, "min"), torch_private.saved_number(clamped, "max")) == (0, None)
    by_tensor = z.clamp(min=torch.zeros(5)).grad_fn
    assert torch_private.saved_number(by_tensor, "min") is None


def test_a_scaler_tells_its_factor_and_whether_it_was_divided_out():
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight])
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    assert torch_private.scale_of(scaler) is None
    scaler.scale(weight.sum()).backward()
    assert torch_private.scale_of(scaler) == 1024
    assert torch_private.unscaled(scaler) == set()
    scaler.unscale_(optimizer)
    assert torch_private.unscaled(scaler) == {id(optimizer)}
    scaler.step(optimizer)
    scaler.update()
    assert torch_private.unscaled(scaler) == set()


def test_each_operation_is_performed_backward_ones_too():
    shapes = []

    def perform(operation, args, kwargs):
        result = operation(*args, **kwargs)
        shapes.append(tuple(result.shape))
        return result

    x = torch.ones(3, 4, requires_grad=True)
    with torch_private.each_operation(perform):
        y = x.exp().sum()
        assert (3, 4) in shapes and () in shapes
        shapes.clear()
        y.backward()
    assert (3, 4) in shapes
    torch.ones(7)
    assert (7,) not in shapes


def test_arguments_have_names_and_say_what_is_written():
    found = {}

    def perform(operation, args, kwargs):
        found[operation.name()] = torch_private.arguments(operation, args, kwargs)
        return operation(*args, **kwargs)

    x, y = torch.ones(3), torch.ones(3)
    with torch_private.each_operation(perform):
        x.add_(y, alpha=2)
        torch.exp(x, out=y)
    names = [(name, written) for name, _, written in found["aten::add_.Tensor"]]
    assert names == [("self", True), ("other", False), ("alpha", False)]
    assert found["aten::add_.Tensor"][0][1] is x and found["aten::add_.Tensor"][2][1] == 2
    assert [(name, written) for name, _, written in found["aten::exp.out"]] == [("self", False), ("out", True)]


def test_nodes_are_known_by_their_numbers():
    made, running = {}, {}

    def perform(operation, args, kwargs):
        node = torch_private.current_node()
        if node is None:
            made.setdefault(torch_private.last_node(), operation.name())
        else:
            running[operation.name()] = torch_private.sequence(node)
        return operation(*args, **kwargs)

    x = torch.ones(3, requires_grad=True)
    with torch_private.each_operation(perform):
        h = x.tanh()
        y = h.exp().sum()
        y.backward()
    assert made[torch_private.sequence(h.grad_fn)] == "aten::tanh"
    assert running["aten::tanh_backward"] == torch_private.sequence(h.grad_fn)
    leaf = h.grad_fn.next_functions[0][0]
    assert torch_private.sequence(leaf) > torch_private.sequence(y.grad_fn)
    assert torch_private.current_node() is None


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("with_bias", [True, False])
def test_onednns_product_is_an_affine_map(with_bias):
    x_BP, weight_QP, bias_Q = torch.randn(4, 6), torch.randn(5, 6), torch.randn(5) if with_bias else None
    expected = F.linear(x_BP.double(), weight_QP.double(), bias_Q.double() if bias_Q is not None else None)
    torch.testing.assert_close(torch_private.onednn_linear(x_BP, weight_QP, bias_Q), expected.float())


@pytest.mark.parametrize(
    ("module", "name", "use"),
    [
        (torch._C, "_current_graph_task_id", torch_private.in_backward),
        (torch._C._functorch, "is_functorch_wrapped_tensor", lambda: torch_private.is_transformed(torch.ones(1))),
        (
            torch._C._functorch,
            "get_unwrapped",
            lambda: torch.vmap(lambda x: torch_private.untransformed(x))(torch.ones(1)),
        ),
        (nn.Module, "_compiled_call_impl", lambda: torch_private.is_compiled(nn.Tanh())),
        (torch.amp.GradScaler, "_get_scale_async", lambda: torch_private.scale_of(torch.amp.GradScaler("cpu"))),
        (torch.utils._python_dispatch, "TorchDispatchMode", lambda: torch_private.each_operation(print)),
    ],
)
def test_what_torch_lacks_is_named_in_one_line(monkeypatch, module, name, use):
    torch_private.private.cache_clear()
    monkeypatch.delattr(module, name)
    with pytest.raises(torch_private.Missing) as caught:
        use()
    message = str(caught.value)
    assert name in message and f"torch {torch.__version__}" in message and "\n" not in message
    torch_private.private.cache_clear()


def test_a_node_that_lacks_a_number_is_named():
    node = torch.ones(1, requires_grad=True).exp().grad_fn
    with pytest.raises(torch_private.Missing, match=r"ExpBackward0\._saved_scale"):
        torch_private.saved_number(node, "scale")


def private(name):
    return name.startswith("_") and not name.endswith("__")


def own_names(trees):
    """The private names that the package gives itself: definitions, and what is assigned or annotated."""
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield node.attr
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def private_uses(tree, own):
    """Names of others that begin with an underscore: imported, taken as attributes, or asked for as strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            path = (node.module or "").split(".")
            yield from (name for name in [*path, *(alias.name for alias in node.names)] if private(name))
        elif isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split(".") if private(part))
        elif isinstance(node, ast.Attribute) and private(node.attr) and node.attr not in own:
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            asked = node.args[1]
            first = asked.values[0] if isinstance(asked, ast.JoinedStr) else asked
            if isinstance(first, ast.Constant) and private(str(first.value)) and first.value not in own:
                yield str(first.value)


def test_private_names_are_used_in_this_module_alone():
    trees = {path: ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
    own = {*own_names(trees.values()), "_asdict", "_fields", "_replace"}  # NamedTuple's, which are documented
    found = {str(path.relative_to(PACKAGE)): sorted(set(private_uses(tree, own))) for path, tree in trees.items()}
    assert "_C" not in own
    elsewhere = {  # of Hydra, which has no other way to check a file before it is read, and of Ray
        "experiments/compose.py": ["_internal"],
        "experiments/config_files.py": ["_internal", "_normalize_file_name"],
        "experiments/launchers.py": ["_private"],
    }
    assert {path: names for path, names in found.items() if names} == elsewhere | {
        "numerics/torch_private.py": ["_raw_saved_", "_saved_", "_sequence_nr"]
    }


@pytest.mark.parametrize(
    "code",
    [
        "from torch._C import x",
        "from torch.utils import _pytree",
        "import torch._dynamo",
        "torch._foreach_norm(x)",
        "node._saved_self",
        "getattr(node, '_saved_self')",
        "getattr(node, f'_saved_{name}', None)",
    ],
)
def test_private_names_are_recognized(code):
    assert list(private_uses(ast.parse(code), own=set()))


def test_a_version_counts_changes_in_place():
    x = torch.zeros(2)
    before = torch_private.version(x)
    x.add_(1)
    assert torch_private.version(x) == before + 1
