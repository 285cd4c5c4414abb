"""By hand, and against the real libraries."""

import re
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from watched import batch, mlp

from vgexp.watching.tracing.batches import call, outcome, own_loss, scalar, split

X, Y = torch.arange(6.0).reshape(3, 2), torch.ones(3, 2)


def model_of(function):
    """A model with this forward pass."""
    return type("Model", (nn.Module,), {"forward": staticmethod(function)})()


def test_inputs_and_targets_and_a_loss():
    model, (x, y) = mlp(), batch()
    found = outcome(model, (x, y), F.cross_entropy)
    assert torch.equal(found.output, model(x)) and torch.equal(found.loss, F.cross_entropy(model(x), y))
    assert found.loss.requires_grad
    assert torch.equal(outcome(model, [x, y], F.cross_entropy).loss, found.loss)
    assert outcome(model, (x, None), lambda output, target: output.sum() * (target is None)).loss != 0


@pytest.mark.parametrize(
    ("forward", "inputs", "expected"),
    [
        (lambda x: ("x", x), X, ("x", X)),
        (lambda x: ("x", x), (X, Y), ("x", (X, Y))),
        (lambda x: ("x", x), [X, Y], ("x", [X, Y])),
        (lambda x, y: ("x y", x, y), (X, Y), ("x y", X, Y)),
        (lambda x, y: ("x y", x, y), [X, Y], ("x y", X, Y)),
        (lambda x, y, z=None: ("x y z", x, y, z), (X, Y), ("x y z", X, Y, None)),
        (lambda x, mask=None: ("x mask", x, mask), (X, Y), ("x mask", X, Y)),
        (lambda images, targets=None: ("images", images, targets), [X, Y], ("images", [X, Y], None)),
        (lambda images, targets=None: ("images", images, targets), (X, X, X), ("images", (X, X, X), None)),
        (lambda *x: ("*x", x), (X, Y), ("*x", (X, Y))),
        (lambda x, *, y: ("x, y", x, y), {"x": X, "y": Y}, ("x, y", X, Y)),
        (lambda x, y=None: ("x, y", x, y), {"x": X}, ("x, y", X, None)),
        (lambda **all: ("**", all), {"x": X, "y": Y}, ("**", {"x": X, "y": Y})),
        (lambda batch: ("dict", batch), {"x": X, "y": Y}, ("dict", {"x": X, "y": Y})),
        (lambda batch, scale=1: ("dict", batch, scale), {"x": X, "y": Y}, ("dict", {"x": X, "y": Y}, 1)),
    ],
)
def test_inputs_go_as_the_arguments_of_forward_say(forward, inputs, expected):
    assert repr(call(model_of(forward), inputs)) == repr(expected)


def test_a_tuple_with_names_is_one_input():
    packed = pack_sequence([torch.ones(4, 2), torch.ones(3, 2)])
    output, _ = call(nn.LSTM(2, 3), packed)
    assert isinstance(output, PackedSequence)
    state = torch.zeros(1, 1, 3), torch.ones(1, 1, 3)
    lstm = nn.LSTM(2, 3)
    assert torch.equal(call(lstm, (X[:, None], state))[0], lstm(X[:, None], state)[0])


def test_batches_of_more_than_two_and_dicts_are_split():
    assert split(nn.Linear(2, 2), (X, Y)) == (X, Y)
    assert split(nn.Linear(2, 2), [X, Y, "y"]) == ((X, Y), "y")
    two = model_of(lambda x, mask=None: x)
    assert split(two, {"x": X, "mask": Y, "label": 1}) == ({"x": X, "mask": Y}, 1)
    assert split(two, {"x": X, "label": 1, "weight": 2}) == ({"x": X}, {"label": 1, "weight": 2})
    for whole in ({"x": X, "mask": Y}, {"image": X, "label": 1}):
        assert split(two, whole) == (whole, whole)


class Wrapper(nn.Module):
    """As DistributedDataParallel wraps."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)


class Named(nn.Module):
    """No wrapper, although its only child has that name: it has arguments of its own."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, image, scale):
        return self.module(image * scale)


BATCHES = {"x": X, "y": Y, "label": 1}, {"x": X, "label": 1}, (X, Y), [X, Y], (X, Y, 1), {"z": X}


@pytest.mark.parametrize("forward", [lambda x: x, lambda x, y: x + y, lambda x, y=None: x, lambda batch: batch])
def test_a_wrapper_splits_and_takes_what_its_model_does(forward):
    model = model_of(forward)
    for wrapped in (Wrapper(model), Wrapper(Wrapper(model))):
        for given in BATCHES:
            assert repr(split(wrapped, given)) == repr(split(model, given))
            said = []
            for each in (model, wrapped):
                try:
                    said.append(repr(call(each, split(each, given)[0])))
                except ValueError as error:
                    said.append(str(error))
            assert said[0] == said[1]


def test_what_has_arguments_of_its_own_is_no_wrapper():
    model = Named(nn.Linear(2, 2))
    batch = {"image": X, "scale": Y, "label": 1}
    assert split(model, batch) == ({"image": X, "scale": Y}, 1)
    assert torch.equal(call(model, split(model, batch)[0]), model(X, Y))


def test_a_forward_that_takes_any_name_is_asked_which_are_the_targets():
    one = model_of(lambda x, **others: (x, others))
    assert split(one, {"x": X, "label": 1}) == ({"x": X}, 1)
    assert split(one, {"x": X}) == ({"x": X}, {"x": X})
    assert call(one, {"x": X, "mask": Y}) == (X, {"mask": Y})
    for model in (one, Wrapper(one)):
        with pytest.raises(
            ValueError, match=r"^batch: got a dict with x, mask, label, accepts \(inputs, targets\): .*$"
        ):
            split(model, {"x": X, "mask": Y, "label": 1})


@dataclass
class Output:
    logits: torch.Tensor
    loss: torch.Tensor | None = None


LOSS = torch.tensor(2.0, requires_grad=True)


@pytest.mark.parametrize(
    "output", [Output(X, LOSS), {"logits": X, "loss": LOSS}, (LOSS, X), [LOSS], LOSS], ids=lambda o: type(o).__name__
)
def test_the_loss_that_a_model_returns(output):
    model = model_of(lambda x, y: output)
    assert own_loss(output) is LOSS
    assert outcome(model, (X, Y)).loss is LOSS and outcome(model, {"x": X, "y": Y}).loss is LOSS
    assert outcome(model_of(lambda x: output), (X, None)).loss is LOSS
    assert outcome(model, (X, Y)).output is output


def test_a_number_is_a_loss_without_a_graph():
    loss = outcome(mlp(), batch(), lambda output, y: F.cross_entropy(output, y).item()).loss
    assert loss.ndim == 0 and not loss.requires_grad and loss > 0


SHAPE = "(3, 2), float32"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda: call(model_of(lambda x, y: x), {"x": X, "z": Y}),
            "inputs: got a dict with x, z, accepts what forward(x, y) takes",
        ),
        (
            lambda: call(model_of(lambda x, y: x), X),
            f"inputs: got a tensor of shape {SHAPE}, accepts what forward(x, y) takes",
        ),
        (
            lambda: call(model_of(lambda x, y: x), (X, Y, X)),
            "inputs: got a tuple of 3, accepts what forward(x, y) takes",
        ),
        (
            lambda: call(model_of(lambda a, b, c, d, e, f, g: a), (X,)),
            "inputs: got a tuple of 1, accepts what forward(a, b, c, d, e, f, ...) takes",
        ),
        (
            lambda: split(nn.Linear(2, 2), X),
            f"batch: got a tensor of shape {SHAPE}, accepts (inputs, targets) or a dict with both",
        ),
        (
            lambda: outcome(nn.Linear(2, 2), X),
            f"model: got a tensor of shape {SHAPE} and no loss_fn, accepts a model that returns its loss (.loss, "
            "['loss'] or the first of a tuple), or a loss_fn",
        ),
        (
            lambda: own_loss(Output(X)),
            "model: got a value of type Output and no loss_fn, accepts a model that returns its loss (.loss, ['loss'] "
            "or the first of a tuple), or a loss_fn",
        ),
        (
            lambda: outcome(nn.Linear(2, 2), (X, Y), lambda output, y: output - y),
            f"loss_fn: got a tensor of shape {SHAPE} for a loss, accepts a tensor with one real number: reduce it, as "
            "by .mean()",
        ),
        (
            lambda: scalar("loss_fn", None),
            "loss_fn: got a value of type NoneType for a loss, accepts a tensor with one real number",
        ),
        (
            lambda: scalar("loss_fn", torch.tensor(1)),
            "loss_fn: got a tensor of shape (), int64 for a loss, accepts a tensor with one real number",
        ),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(act, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        act()


def test_errors_of_the_model_stay_its_own():
    def forward(x):
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        call(model_of(forward), X)
    with pytest.raises(TypeError, match="must be Tensor, not dict"):  # a model of one argument takes what there is
        call(nn.Linear(2, 2), {"x": X, "y": Y})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_hugging_face():
    from transformers import BatchEncoding, BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    ids, labels = torch.randint(50, (4, 7)), torch.randint(5, (4,))
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=5
    )
    model = BertForSequenceClassification(config).eval()
    encoded = BatchEncoding({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels})
    expected = model(input_ids=ids, labels=labels).loss
    assert torch.equal(outcome(model, encoded).loss, expected)
    assert torch.equal(outcome(model, dict(encoded)).loss, expected)

    def loss_fn(output, y):
        return F.cross_entropy(output.logits, y)

    for inputs in (ids, {"input_ids": ids}, (ids, torch.ones_like(ids))):
        assert torch.equal(outcome(model, (inputs, labels), loss_fn).loss, expected)
    assert torch.equal(outcome(model, encoded, lambda output, batch: loss_fn(output, batch["labels"])).loss, expected)
    model.config.return_dict = False
    assert torch.equal(outcome(model, encoded).loss, expected)
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2)).eval()
    assert torch.equal(outcome(gpt, {"input_ids": ids, "labels": ids}).loss, gpt(ids, labels=ids).loss)
    with pytest.raises(ValueError, match=r"^model: got a \w+ with logits.* and no loss_fn, accepts"):
        outcome(gpt, {"input_ids": ids})


@pytest.mark.slow
def test_lightning():
    from lightning.pytorch import LightningModule

    class Module(LightningModule):
        def __init__(self, end):
            super().__init__()
            self.net, self.end = mlp(), end

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = F.cross_entropy(self(x), y)
            self.log("train_loss", loss)
            return self.end(loss)

    x, y = batch()
    expected = F.cross_entropy(mlp()(x), y)
    assert torch.equal(outcome(Module(lambda loss: loss), (x, y)).loss, expected)
    found = outcome(Module(lambda loss: {"loss": loss, "log": 1}), (x, y))
    assert torch.equal(found.loss, expected) and found.output["log"] == 1
    assert torch.equal(outcome(Module(lambda loss: None), (x, y), F.cross_entropy).loss, expected)
    with pytest.raises(ValueError, match=r"^training_step: got a value of type NoneType for a loss, accepts"):
        outcome(Module(lambda loss: None), (x, y))
    with pytest.raises(ValueError, match=r"^training_step: got a dict with log for a loss, accepts"):
        outcome(Module(lambda loss: {"log": 1}), (x, y))


def test_an_object_that_holds_inputs_and_targets_goes_to_both():
    """As the graphs of PyTorch Geometric do."""

    class Graph:
        def __init__(self):
            self.x, self.y, self.edges = torch.eye(4), torch.ones(4, 4), torch.tensor([[0, 1, 2], [1, 2, 3]])

    class Network(nn.Module):
        def forward(self, graph):
            return graph.x.index_add(0, graph.edges[1], graph.x[graph.edges[0]])

    found = outcome(Network(), Graph(), lambda output, graph: (output - graph.y).square().sum())
    assert float(found.loss) == 16 - 7
