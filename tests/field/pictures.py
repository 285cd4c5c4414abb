"""Convolutional and other networks on pictures, as their readers write them, tiny."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def smooth(shape, size, generator):
    """Random pictures of low frequency."""
    coarse = torch.randn(*shape, 4, 4, generator=generator)
    return F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)


def labelled(size, channels=3, classes=4, count=16, noise=2.0):
    """Draws pictures, a smooth pattern a class and noise, with their classes."""
    patterns = smooth((classes, channels), size, torch.Generator().manual_seed(0))

    def draw(generator):
        y = torch.randint(classes, (count,), generator=generator)
        return patterns[y] + noise * torch.randn(count, channels, size, size, generator=generator), y

    return draw


def masks(generator, count=8, size=32):
    """Draws noisy pictures of blobs, and the blobs."""
    mask = (smooth((count, 1), size, generator) > 0.3).float()
    return mask + 0.5 * torch.randn(count, 1, size, size, generator=generator), mask


def noised(generator, count=8, size=16):
    """Draws (noised pictures, times), and the noise."""
    x, noise = smooth((count, 3), size, generator), torch.randn(count, 3, size, size, generator=generator)
    t = torch.rand(count, generator=generator)
    share = torch.cos(t * math.pi / 2)[:, None, None, None]
    return (share * x + (1 - share**2).sqrt() * noise, t), noise


def views(generator, count=16, size=16):
    """Draws two noisy views of each of some pictures, and no target."""
    x = smooth((count, 3), size, generator)
    return tuple(x + 0.3 * torch.randn(x.shape, generator=generator) for _ in range(2)), torch.zeros(0)


def lenet5():
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 4)),
    )


def alexnet():
    """torchvision's, an eighth as wide."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(8, 24, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(48, 32, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2), nn.Flatten()),
        *(nn.Dropout(), nn.Linear(32, 64), nn.ReLU(inplace=True)),
        *(nn.Dropout(), nn.Linear(64, 64), nn.ReLU(inplace=True), nn.Linear(64, 4)),
    )


def vgg(norm=None):
    """VGG-11, its convolutions drawn as torchvision draws them."""
    modules, channels = [], 3
    for width in (8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 64, 64, "M"):
        if width == "M":
            modules.append(nn.MaxPool2d(2))
            continue
        conv = nn.Conv2d(channels, width, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(conv.bias)
        modules += [conv, *([norm(width)] if norm else []), nn.ReLU(inplace=True)]
        channels = width
    head = (nn.Linear(64, 64), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(64, 4))
    return nn.Sequential(*modules, nn.Flatten(), *head)


def conv(i, o, stride=1, groups=1, kernel=3):
    return nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)


class Basic(nn.Module):
    """A block of ResNet-18."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1, self.relu = conv(i, o, stride), nn.BatchNorm2d(o), nn.ReLU(inplace=True)
        self.conv2, self.bn2 = conv(o, o), nn.BatchNorm2d(o)
        same = stride == 1 and i == o
        self.skip = nn.Identity() if same else nn.Sequential(conv(i, o, stride, kernel=1), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.skip(x))


def resnet(blocks=(2, 2, 2, 2), widths=(8, 16, 32, 64)):
    body, channels = [], widths[0]
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        for block in range(count):
            body.append(Basic(channels, width, 2 if stage and not block else 1))
            channels = width
    stem = (conv(3, widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 4))


class Dense(nn.Module):
    def __init__(self, channels, growth=8, layers=4):
        super().__init__()
        wide = [channels + growth * i for i in range(layers)]
        self.layers = nn.ModuleList(
            nn.Sequential(
                *(nn.BatchNorm2d(i), nn.ReLU(), conv(i, 2 * growth, kernel=1)),
                *(nn.BatchNorm2d(2 * growth), nn.ReLU(), conv(2 * growth, growth)),
            )
            for i in wide
        )

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


def densenet():
    shrink = lambda i, o: nn.Sequential(nn.BatchNorm2d(i), nn.ReLU(), conv(i, o, kernel=1), nn.AvgPool2d(2))
    return nn.Sequential(
        *(conv(3, 16), Dense(16), shrink(48, 24), Dense(24), shrink(56, 28), Dense(28)),
        *(nn.BatchNorm2d(60), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(60, 4)),
    )


class Inverted(nn.Module):
    """An inverted residual of MobileNet v2."""

    def __init__(self, i, o, stride, expand=4):
        super().__init__()
        wide, self.residual = i * expand, stride == 1 and i == o
        self.body = nn.Sequential(
            *(conv(i, wide, kernel=1), nn.BatchNorm2d(wide), nn.ReLU6(inplace=True)),
            *(conv(wide, wide, stride, groups=wide), nn.BatchNorm2d(wide), nn.ReLU6(inplace=True)),
            *(conv(wide, o, kernel=1), nn.BatchNorm2d(o)),
        )

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


def mobilenet():
    body = [
        Inverted(i, o, s) for i, o, s in ((8, 8, 1), (8, 12, 2), (12, 12, 1), (12, 16, 2), (16, 16, 1), (16, 24, 1))
    ]
    stem = (conv(3, 8, 2), nn.BatchNorm2d(8), nn.ReLU6(inplace=True))
    last = (conv(24, 64, kernel=1), nn.BatchNorm2d(64), nn.ReLU6(inplace=True), nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(*stem, *body, *last, nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 4))


def double(i, o):
    first = (conv(i, o), nn.BatchNorm2d(o), nn.ReLU(inplace=True))
    return nn.Sequential(*first, conv(o, o), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class Unet(nn.Module):
    def __init__(self, widths=(8, 16, 32)):
        super().__init__()
        a, b, c = widths
        self.down1, self.down2, self.middle, self.pool = double(1, a), double(a, b), double(b, c), nn.MaxPool2d(2)
        self.up2, self.join2 = nn.ConvTranspose2d(c, b, 2, 2), double(2 * b, b)
        self.up1, self.join1 = nn.ConvTranspose2d(b, a, 2, 2), double(2 * a, a)
        self.head = nn.Conv2d(a, 1, 1)

    def forward(self, x):
        x1 = self.down1(x)
        x2 = self.down2(self.pool(x1))
        x = self.middle(self.pool(x2))
        x = self.join2(torch.cat([x2, self.up2(x)], 1))
        return self.head(self.join1(torch.cat([x1, self.up1(x)], 1)))


class Timed(nn.Module):
    """A residual block that is told the time, as in diffusion models."""

    def __init__(self, i, o, time=32):
        super().__init__()
        self.norm1, self.conv1, self.act = nn.GroupNorm(4, i), nn.Conv2d(i, o, 3, padding=1), nn.SiLU()
        self.time = nn.Linear(time, o)
        self.norm2, self.conv2 = nn.GroupNorm(4, o), nn.Conv2d(o, o, 3, padding=1)
        self.skip = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x, t):
        y = self.conv1(self.act(self.norm1(x))) + self.time(self.act(t))[:, :, None, None]
        return self.skip(x) + self.conv2(self.act(self.norm2(y)))


class Looking(nn.Module):
    """Attention over the pixels, beside a skip."""

    def __init__(self, channels):
        super().__init__()
        self.norm, self.qkv = nn.GroupNorm(4, channels), nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        q, k, v = (y.flatten(2).transpose(1, 2) for y in self.qkv(self.norm(x)).chunk(3, 1))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return x + self.out(y.reshape(x.shape))


class Diffusion(nn.Module):
    """Ho et al. (2020), with two resolutions."""

    def __init__(self, width=16, time=32):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, time), nn.SiLU(), nn.Linear(time, time))
        self.stem, self.down1 = nn.Conv2d(3, width, 3, padding=1), Timed(width, width)
        self.shrink, self.down2 = nn.Conv2d(width, width, 3, 2, 1), Timed(width, 2 * width)
        self.middle1, self.attention, self.middle2 = (
            *(Timed(2 * width, 2 * width), Looking(2 * width)),
            Timed(2 * width, 2 * width),
        )
        self.up2, self.grow = Timed(4 * width, width), nn.ConvTranspose2d(width, width, 4, 2, 1)
        self.up1, self.norm = Timed(2 * width, width), nn.GroupNorm(4, width)
        self.act, self.head = nn.SiLU(), nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, inputs):
        x, t = inputs
        angle = t[:, None] * 100 ** torch.linspace(0, 1, 8, dtype=t.dtype)
        t = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        x1 = self.down1(self.stem(x), t)
        x2 = self.down2(self.shrink(x1), t)
        x = self.middle2(self.attention(self.middle1(x2, t)), t)
        x = self.grow(self.up2(torch.cat([x, x2], 1), t))
        return self.head(self.act(self.norm(self.up1(torch.cat([x, x1], 1), t))))


class Mixing(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(tokens, 32), nn.GELU(), nn.Linear(32, tokens))
        self.channels = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Mixer(nn.Module):
    """MLP-Mixer on patches of 4 x 4."""

    def __init__(self, size=16, width=32, depth=4):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.Sequential(*(Mixing((size // 4) ** 2, width) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 4)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.patches(x).flatten(2).transpose(1, 2))).mean(1))


class Siamese(nn.Module):
    """One tower, called once a view."""

    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 16)),
        )

    def forward(self, views):
        return tuple(self.tower(x) for x in views)


def nt_xent(outputs, _):
    """Each example's two views are to be more like each other than like other examples'."""
    a, b = (F.normalize(x, dim=1) for x in outputs)
    return F.cross_entropy(a @ b.T / 0.1, torch.arange(len(a)))
