"""Every extension point that docs/extending.md names, tried by a module from outside: train, plot, report, read."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import vgexp
import vgexp.data
import vgexp.networks
import vgexp.numerics

MINE = '''
from dataclasses import replace
import torch
from vgexp.data import DATASETS, Loader, finite
from vgexp.networks import ACTIVATIONS, FAMILIES, INITIALIZERS, LOSSES, NORMS, OPTIMIZERS
from vgexp.networks import Activation, Initializer, Loss, Sgd
from vgexp.numerics import QUANTITIES, Quantity

ACTIVATIONS["sine"] = Activation(phi=torch.sin, slope=torch.cos)
INITIALIZERS["tiny"] = Initializer(0.5, lambda fan_in, fan_out: 1 / fan_in, ("normal",))
FAMILIES["mine"] = replace(
    FAMILIES["plain"], block=lambda p, layer, state: (2 * p.phi(layer, p.linear(layer, state[0])),), recursion=None
)
NORMS["strict"] = replace(NORMS["layer"], version=2)
LOSSES["absolute"] = Loss(lambda z, y: (z - torch.nn.functional.one_hot(y, z.shape[-1])).abs().sum(-1))


class Signs(Sgd):
    """v <- momentum v + dW, W <- W - lr sign(v)."""

    slots = ("v",)

    def direction(self, name, gradient, slots):
        return slots["v"].mul_(self.numbers["momentum"]).add_(gradient.mean(name)).sign()


OPTIMIZERS["signs"] = Signs
QUANTITIES["h_l1"] = Quantity("h", lambda h: h.abs().mean((-2, -1)))


def points():
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    images = x, (x[:, 0] > 0).long()
    return finite(images, images, images, classes=2, white=1)


DATASETS["points"] = Loader(points)
'''
SWEEP = [
    *("data.name=points", "data.batch_size=6", "model.depth=4", "model.width=8", "steps=4", "probe.tier=full"),
    *("model.activation=sine", "model.family=plain,mine", "init.name=tiny", "loss=absolute", "optim.name=signs"),
    *("optim.weight_decay=0.01", "optim.warmup=2", "optim.schedule=cosine", "optim.clip=null,1"),
    *("model.norm=none,strict", "name=outside", "seed=0,1"),
]


COMMANDS = [
    ["train", "-m", *SWEEP],
    ["train", "-m", *SWEEP],
    ["plot", "results/outside"],
    ["report", "results/outside"],
    ["predict", *(text for text in SWEEP if "," not in text), "model.family=mine"],
]
ONE_AFTER_ANOTHER = """
import json, sys
from vgexp.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["vgexp", "--import", "mine", *command]
    try:
        main()
    except SystemExit as end:
        assert not end.code, command
"""


def test_every_extension_point_through_every_command():
    Path("mine.py").write_text(MINE)
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_ANOTHER, json.dumps(COMMANDS)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "16 runs, 16 already done" in done.stderr
    assert "a layer" in done.stdout
    assert Path("results/outside/figures/profile.svg").exists()
    assert "sine" in Path("results/outside/report.html").read_text()
    results = vgexp.read("results/outside")
    assert (results.runs["status"] == "done").all() and set(results.runs["model.family"]) == {"plain", "mine"}
    hidden = results.layers[(results.layers["part"] == "") & (results.layers["layer"] <= 4)]
    assert np.isfinite(hidden["h_l1"]).all()


def test_the_documentation_names_what_is_tried_here():
    named = set(re.findall(r"`([A-Z]+)`", (Path(__file__).parents[1] / "docs/extending.md").read_text()))
    homes = (vgexp.networks, vgexp.data, vgexp.numerics)
    registries = {name for name in named if any(isinstance(getattr(home, name, None), dict) for home in homes)}
    assert len(registries) >= 7
    assert all(f'{name}["' in MINE for name in registries), registries
