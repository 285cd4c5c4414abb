"""Networks with a known diagnosis: the zoo that the verdicts are held against."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from vgexp.watching.checkup import diagnose


def mlp(depth, width, phi, law=None, classes=10, inputs=None, norm=None):
    """depth hidden layers; `law` acts on each hidden weight, biases then are 0."""
    modules = []
    for i, o in pairwise([inputs or width, *[width] * depth]):
        linear = nn.Linear(i, o)
        if law:
            law(linear.weight)
            nn.init.zeros_(linear.bias)
        modules += [linear, *([norm(o)] if norm else []), phi()]
    return nn.Sequential(*modules, nn.Linear(width, classes))


def he(weight):
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def gaussian(sigma_w):
    return lambda weight: nn.init.normal_(weight, std=sigma_w / math.sqrt(weight[0].numel()))


class Residual(nn.Module):
    def __init__(self, depth, width, phi=nn.ReLU, gate=None, norm=False):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *([nn.LayerNorm(width)] if norm else []), nn.Linear(width, width), phi(), nn.Linear(width, width)
            )
            for _ in range(depth)
        )
        self.head = nn.Linear(width, 10)
        if gate is not None:
            for block in self.blocks:
                nn.init.constant_(block[-1].weight, gate)
                nn.init.zeros_(block[-1].bias)

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Functional(nn.Module):
    def __init__(self, depth, width, phi, law=None):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head, self.phi = nn.Linear(width, 10), phi
        for layer in self.layers:
            if law:
                law(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers:
            x = self.phi(layer(x))
        return self.head(x)


class Unrolled(nn.Module):
    """A recurrent cell over time, read out at the end."""

    def __init__(self, cell, width, scale=None):
        super().__init__()
        self.cell, self.head, self.width = cell, nn.Linear(width, 10), width
        if scale:
            nn.init.orthogonal_(cell.weight_hh, scale)

    def forward(self, x):
        state = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Fused(nn.Module):
    def __init__(self, kind, last="output"):
        super().__init__()
        self.rnn, self.head, self.last = kind(16, 32, num_layers=2, batch_first=True), nn.Linear(32, 10), last

    def forward(self, x):
        output, state = self.rnn(x)
        state = state[0] if isinstance(state, tuple) else state
        return self.head(output[:, -1] if self.last == "output" else state[-1])


class Transformer(nn.Module):
    def __init__(self, depth=6, width=64, norm_first=True, words=50):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.position = nn.Parameter(torch.randn(1, 32, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words)

    def forward(self, x):
        return self.head(self.norm(self.encoder(self.embedding(x) + self.position))).flatten(0, 1)


class Heads(nn.Module):
    def __init__(self, used="one", output=None):
        super().__init__()
        self.body, self.a, self.b = mlp(8, 64, nn.ReLU, he, classes=64), nn.Linear(64, 10), nn.Linear(64, 10)
        he(self.body[-1].weight)
        self.used, self.output = used, output

    def forward(self, x):
        h = F.relu(self.body(x))
        a = self.a(h)
        if self.used == "detached":
            return a + self.b(h).detach()
        if self.used == "computed":
            self.b(h)
        if self.used == "both":
            a = a + self.b(h)
        return {"logits": a, "hidden": (h,)} if self.output == "dict" else a


@dataclass
class Output:
    number: int
    logits: torch.Tensor


class Wrapped(nn.Module):
    """Every block puts out a dataclass, the model a tuple."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(mlp(1, 64, nn.ReLU, he, classes=64) for _ in range(4))
        for layer in self.layers:
            he(layer[-1].weight)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for number, layer in enumerate(self.layers):
            x = Output(number, layer(x)).logits.relu()
        return (self.head(x), [Output(0, x)])


class ComplexLinear(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width, dtype=torch.complex64) / math.sqrt(width))

    def forward(self, x):
        return x @ self.weight


class Complex(nn.Module):
    def __init__(self, depth=6):
        super().__init__()
        self.layers, self.head = nn.ModuleList(ComplexLinear(64) for _ in range(depth)), nn.Linear(64, 10)

    def forward(self, x):
        x = x.to(self.layers[0].weight.dtype)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.real)


class Vgg(nn.Module):
    def __init__(self, law=None, norm=False, phi=nn.ReLU):
        super().__init__()
        widths = [3, 16, 16, "M", 32, 32, "M", 64, 64, "M", 64, 64]
        modules, channels = [], 3
        for width in widths[1:]:
            if width == "M":
                modules.append(nn.MaxPool2d(2))
                continue
            conv = nn.Conv2d(channels, width, 3, padding=1)
            if law:
                law(conv.weight)
                nn.init.zeros_(conv.bias)
            modules += [conv, *([nn.BatchNorm2d(width)] if norm else []), phi()]
            channels = width
        self.features, self.head = nn.Sequential(*modules), nn.Linear(64 * 16, 10)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


class Log(nn.Module):
    def forward(self, x):
        return torch.log(x)


class RootOfZero(nn.Module):
    def forward(self, x):
        return torch.sqrt(F.relu(x) * 0 + 0.0) + x


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.blocks = nn.ModuleList(mlp(2, 64, nn.Sigmoid, classes=64) for _ in range(5))
        self.head, self.reentrant = nn.Linear(64, 10), reentrant

    def forward(self, x):
        x = x.requires_grad_()
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=self.reentrant)
        return self.head(x)


class Lora(nn.Module):
    def __init__(self, depth=6, width=64, rank=4):
        super().__init__()
        self.base = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(width, rank, bias=False) for _ in range(depth))
        self.up = nn.ModuleList(nn.Linear(rank, width, bias=False) for _ in range(depth))
        for base, up in zip(self.base, self.up, strict=True):
            he(base.weight)
            nn.init.zeros_(base.bias)
            base.requires_grad_(False)
            nn.init.zeros_(up.weight)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        for base, down, up in zip(self.base, self.down, self.up, strict=True):
            x = F.relu(base(x) + up(down(x)))
        return self.head(x)


class DenseNet(nn.Module):
    def __init__(self, depth=12, growth=32):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64 + growth * i, growth) for i in range(depth))
        self.head = nn.Linear(64 + growth * depth, 10)

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, F.relu(layer(x))], 1)
        return self.head(x)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.body = nn.Embedding(50, 64), mlp(8, 64, nn.ReLU, he, classes=64)
        self.head = nn.Linear(64, 50, bias=False)
        self.head.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=0.125)

    def forward(self, x):
        return self.head(self.body(self.embedding(x))).flatten(0, 1)


def biased(model, layer, value, share=1.0):
    """Sets the biases of a share of a layer's units."""
    with torch.no_grad():
        bias = model[layer].bias
        bias[: math.ceil(share * len(bias))] = value
    return model


def frozen(model, count):
    for parameter in list(model.parameters())[:count]:
        parameter.requires_grad_(False)
    return model


def poisoned(model, layer, value=math.nan):
    with torch.no_grad():
        model[layer].weight[0, 0] = value
    return model


def zeroed(model, layer):
    nn.init.zeros_(model[layer].weight)
    return model


def broken(module):
    return nn.Sequential(mlp(3, 64, nn.Tanh, he, 64), module, mlp(3, 64, nn.Tanh, he))


flat = lambda: torch.randn(64, 64)
image = lambda: torch.randn(16, 3, 32, 32)
sequence = lambda: torch.randn(16, 200, 16)
words = lambda: torch.randint(50, (8, 32))

ZOO = {
    # name: (verdict, factory, inputs)
    "S: sigmoid 20": ("vanishing", lambda: mlp(20, 64, nn.Sigmoid), flat),
    "H: He relu 10": ("healthy", lambda: mlp(10, 64, nn.ReLU, he), flat),
    "I: relu in place": ("undecided", lambda: mlp(5, 64, lambda: nn.ReLU(inplace=True)), flat),
    "I: He, in place": ("healthy", lambda: mlp(10, 64, lambda: nn.ReLU(inplace=True), he), flat),
    "He relu 50": ("healthy", lambda: mlp(50, 128, nn.ReLU, he, inputs=64), flat),
    "He relu 100, wide": ("healthy", lambda: mlp(100, 256, nn.ReLU, he, inputs=64), flat),
    "relu default 20": ("vanishing", lambda: mlp(20, 64, nn.ReLU), flat),
    "tanh default 20": ("vanishing", lambda: mlp(20, 64, nn.Tanh), flat),
    "tanh default 5": ("healthy", lambda: mlp(5, 64, nn.Tanh), flat),
    "tanh critical 30": ("healthy", lambda: mlp(30, 128, nn.Tanh, gaussian(1.0), inputs=64), flat),
    "tanh exploding 40": ("exploding", lambda: mlp(40, 64, nn.Tanh, gaussian(2.5)), flat),
    "tanh saturated 3": ("saturated", lambda: mlp(3, 64, nn.Tanh, gaussian(6.0)), flat),
    "linear exploding": ("exploding", lambda: mlp(30, 64, nn.Identity, gaussian(2.0)), flat),
    "linear vanishing": ("vanishing", lambda: mlp(30, 64, nn.Identity, gaussian(0.5)), flat),
    "sigmoid 100, underflows": ("vanishing", lambda: mlp(100, 64, nn.Sigmoid), flat),
    "sigmoid 3": ("vanishing", lambda: mlp(3, 64, nn.Sigmoid), flat),
    "functional tanh": ("healthy", lambda: Functional(12, 64, torch.tanh, gaussian(1.0)), flat),
    "functional softsign vanishing": ("vanishing", lambda: Functional(20, 64, F.softsign), flat),
    "functional relu dead": ("dead", lambda: biased_functional(-100.0, 1.0), flat),
    "functional relu silent": ("silent", lambda: biased_functional(-100.0, 0.9), flat),
    "dead relu": ("dead", lambda: biased(mlp(8, 64, nn.ReLU, he), 6, -100.0), flat),
    "silent relu 80 %": ("silent", lambda: biased(mlp(8, 64, nn.ReLU, he), 6, -100.0, 0.8), flat),
    "a tenth silent": ("healthy", lambda: biased(mlp(8, 64, nn.ReLU, he), 6, -100.0, 0.1), flat),
    "zero middle": ("dead", lambda: zeroed(mlp(8, 64, nn.ReLU, he), 6), flat),
    "zero weights": ("dead", lambda: mlp(5, 64, nn.ReLU, nn.init.zeros_), flat),
    "batch norm 10": ("healthy", lambda: mlp(10, 64, nn.ReLU, norm=nn.BatchNorm1d), flat),
    "batch norm 60": ("exploding", lambda: mlp(60, 64, nn.ReLU, norm=nn.BatchNorm1d), flat),
    "layer norm 30": ("healthy", lambda: mlp(30, 64, nn.ReLU, he, norm=nn.LayerNorm), flat),
    "selu 30": ("healthy", lambda: mlp(30, 64, nn.SELU, gaussian(1.0)), flat),
    "leaky 30": ("healthy", lambda: mlp(30, 128, nn.LeakyReLU, he, inputs=64), flat),
    "gelu 24 default": ("vanishing", lambda: mlp(24, 64, nn.GELU), flat),
    "residual 20": ("healthy", lambda: Residual(20, 64), flat),
    "residual 50 norm": ("healthy", lambda: Residual(50, 64, norm=True), flat),
    "residual closed": ("healthy", lambda: Residual(10, 64, gate=0.0), flat),
    "lora": ("healthy", lambda: Lora(), flat),
    "dense": ("healthy", lambda: DenseNet(), flat),
    "frozen half": ("healthy", lambda: frozen(mlp(10, 64, nn.ReLU, he), 10), flat),
    "frozen vanishing": ("vanishing", lambda: frozen(mlp(30, 64, nn.Sigmoid), 10), flat),
    "unused head": ("disconnected", lambda: Heads(), flat),
    "unused head, computed": ("disconnected", lambda: Heads("computed"), flat),
    "detached head": ("disconnected", lambda: Heads("detached"), flat),
    "two heads": ("healthy", lambda: Heads("both"), flat),
    "dict": ("healthy", lambda: Heads("both", "dict"), flat),
    "dataclass": ("healthy", lambda: Wrapped(), flat),
    "complex": ("healthy", lambda: Complex(), flat),
    "nan weight": ("nan", lambda: poisoned(mlp(8, 64, nn.ReLU, he), 6), flat),
    "inf weight": ("nan", lambda: poisoned(mlp(8, 64, nn.Tanh, he), 6, math.inf), flat),
    "nan in the middle": (
        "nan",
        lambda: broken(Log()),
        flat,
    ),
    "nan backward": (
        "nan",
        lambda: broken(RootOfZero()),
        flat,
    ),
    "pre-LN transformer": ("healthy", lambda: Transformer(), words),
    "post-LN transformer": ("healthy", lambda: Transformer(norm_first=False), words),
    "tied": ("healthy", lambda: Tied(), words),
    "lstm fused, last output": ("vanishing", lambda: Fused(nn.LSTM), sequence),
    "gru fused, state": ("vanishing", lambda: Fused(nn.GRU, "state"), sequence),
    "rnn 200": ("vanishing", lambda: Unrolled(nn.RNNCell(16, 32), 32), sequence),
    "rnn 200 scaled": ("exploding", lambda: Unrolled(nn.RNNCell(16, 32, nonlinearity="relu"), 32, 1.9), sequence),
    "lstm cell 200": ("vanishing", lambda: Unrolled(nn.LSTMCell(16, 32), 32), sequence),
    "rnn 200, orthogonal": ("vanishing", lambda: Unrolled(nn.RNNCell(16, 32, nonlinearity="relu"), 32, 1.0), sequence),
    "vgg": ("vanishing", lambda: Vgg(), image),
    "vgg He": ("healthy", lambda: Vgg(he), image),
    "vgg norm": ("healthy", lambda: Vgg(norm=True), image),
    "checkpointed": ("vanishing", lambda: Checkpointed(False), flat),
    "checkpointed, reentrant": ("vanishing", lambda: Checkpointed(True), flat),
    "one layer": ("healthy", lambda: nn.Linear(64, 10), flat),
    "reused": ("healthy", lambda: Reused(), flat),
}


class Reused(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
        nn.init.orthogonal_(self.layer.weight, math.sqrt(2))

    def forward(self, x):
        for _ in range(8):
            x = F.relu(self.layer(x))
        return self.head(x)


def biased_functional(value, share):
    model = Functional(8, 64, F.relu, he)
    biased(model.layers, 4, value, share)
    return model


def problem(name, seed=0):
    """A network of the zoo with a batch for it."""
    _, make, inputs = ZOO[name]
    torch.manual_seed(seed)
    model, x = make(), inputs()
    with torch.no_grad():
        shape = logits(model(x)).shape
    return model, (x, x.flatten() if x.dtype == torch.int64 else torch.randint(shape[-1], (shape[0],)))


def logits(output):
    if isinstance(output, dict):
        return output["logits"]
    return output[0] if isinstance(output, tuple) else output


def loss(output, target):
    """The cross entropy of a network of the zoo."""
    return F.cross_entropy(logits(output), target)


def findings(name):
    """What `diagnose` finds in a network of the zoo."""
    model, batch = problem(name)
    return diagnose(model, batch, loss).findings
