"""Networks whose loss is not that of a classifier, and one that is deep, tiny."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from .pictures import smooth


def flat(generator, count=32, width=32, classes=4):
    """Draws normal numbers, and the largest of their projections."""
    x = torch.randn(count, width, generator=generator)
    return x, (x @ torch.randn(width, classes, generator=torch.Generator().manual_seed(0))).argmax(1)


def digits(generator, count=32, size=8):
    """Draws small pictures between 0 and 1, and the same as targets."""
    patterns = smooth((10, 1), size, torch.Generator().manual_seed(0))
    x = patterns[torch.randint(10, (count,), generator=generator)].flatten(1)
    x = torch.sigmoid(3 * x + 0.3 * torch.randn(x.shape, generator=generator))
    return x, x


def rod(generator, count=64):
    """Draws points (x, t) of a heated rod, and its temperature at the same x when it begins."""
    points = torch.rand(count, 2, generator=generator)
    return points, torch.sin(torch.pi * points[:, :1])


def moves(generator, count=64, width=8, actions=4):
    """Draws (states, actions, rewards, next states) of a game in which the largest projection wins."""
    s, after = (torch.randn(count, width, generator=generator) for _ in range(2))
    a = torch.randint(actions, (count,), generator=generator)
    game = torch.randn(width, actions, generator=torch.Generator().manual_seed(0))
    return (s, a, (s @ game).tanh().gather(1, a[:, None])[:, 0], after), torch.zeros(0)


def wishes(generator, count=16):
    """Draws (codes, real pictures), and no target."""
    return (torch.randn(count, 16, generator=generator), (1 + smooth((count, 1), 16, generator)).tanh()), torch.zeros(0)


class Skip(nn.Module):
    """A branch of one layer beside a skip."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.act, self.linear = nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")
        nn.init.zeros_(self.linear.bias)

    def forward(self, x):
        return x + self.linear(self.act(self.norm(x)))


def deep(depth=50, width=32):
    """A residual MLP that is so deep that it needs its norms."""
    return nn.Sequential(*(Skip(width) for _ in range(depth)), nn.LayerNorm(width), nn.Linear(width, 4))


class Vae(nn.Module):
    def __init__(self, inputs=64, width=64, latent=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(width, latent), nn.Linear(width, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, inputs))

    def forward(self, x):
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return self.decoder(code), mean, log_variance


def evidence(outputs, x):
    """Kingma & Welling (2014): minus the evidence lower bound, of pixels with a variance of 0.1."""
    logits, mean, log_variance = outputs
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return 5 * (logits.sigmoid() - x).square().sum(1).mean() + divergence


class Pinn(nn.Module):
    """Raissi et al. (2019): the temperature of a rod, and what is left of the heat equation."""

    def __init__(self, width=32, depth=4):
        super().__init__()
        hidden = [m for _ in range(depth - 1) for m in (nn.Linear(width, width), nn.Tanh())]
        self.net = nn.Sequential(nn.Linear(2, width), nn.Tanh(), *hidden, nn.Linear(width, 1))

    def forward(self, points):
        points = points.detach().requires_grad_()
        u = self.net(points)
        (du,) = torch.autograd.grad(u.sum(), points, create_graph=True)
        (curve,) = torch.autograd.grad(du[:, 0].sum(), points, create_graph=True)
        begun = torch.stack([points[:, 0], torch.zeros_like(points[:, 1])], 1)
        ends = torch.stack([points[:, 0].round(), points[:, 1]], 1)
        return du[:, 1] - 0.1 * curve[:, 0], self.net(begun), self.net(ends)


def physics(outputs, temperature):
    residual, begun, ends = outputs
    return residual.square().mean() + (begun - temperature).square().mean() + ends.square().mean()


class Dqn(nn.Module):
    """Mnih et al. (2015): values of the moves made, and what the frozen copy thinks they should be."""

    def __init__(self, width=64):
        super().__init__()
        self.online = nn.Sequential(
            *(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4)),
        )
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    def forward(self, played):
        s, a, reward, after = played
        with torch.no_grad():
            worth = reward + 0.5 * self.target(after).amax(1)
        return self.online(s).gather(1, a[:, None])[:, 0], worth


class Gan(nn.Module):
    """DCGAN (Radford et al., 2016), both players at once."""

    def __init__(self, width=16):
        super().__init__()
        self.generator = nn.Sequential(
            *(nn.ConvTranspose2d(16, 2 * width, 4, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU()),
            *(nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.ConvTranspose2d(width, 1, 4, 2, 1, bias=False), nn.Tanh()),
        )
        self.critic = nn.Sequential(
            *(nn.Conv2d(1, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2)),
            nn.Conv2d(2 * width, 1, 4, bias=False),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, inputs):
        code, real = inputs
        fake = self.generator(code[:, :, None, None])
        judged = self.critic(real), self.critic(fake.detach())
        trainable = [p for p in self.critic.parameters() if p.requires_grad]
        for p in trainable:
            p.requires_grad_(False)
        fooled = self.critic(fake)
        for p in trainable:
            p.requires_grad_(True)
        return *judged, fooled, fake


def adversaries(outputs, _):
    real, fake, fooled, _ = outputs
    return F.softplus(-real).mean() + F.softplus(fake).mean() + F.softplus(-fooled).mean()


def unlikeness(outputs, inputs):
    """The energy distance between what the generator makes and what is real."""
    fake, real = outputs[3].flatten(1), inputs[1].flatten(1)
    return 2 * torch.cdist(fake, real).mean() - torch.cdist(fake, fake).mean() - torch.cdist(real, real).mean()
