"""Layer-sequential unit variance against a loop in torch's own operations, and what its authors promise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from samples import small
from walk import ALL

from vgexp.config.errors import ConfigError
from vgexp.networks.building import build, require_buildable
from vgexp.networks.initializers import weights
from vgexp.networks.lsuv import TOLERANCE, unit_scale
from vgexp.numerics.seeds import generator
from vgexp.results.reading import read
from vgexp.results.writing import Store
from vgexp.training.loop import Training, train
from vgexp.training.stack import Stack, first_batch


class Variances:
    """Notes the variance of what every matrix puts out."""

    keeps = False

    def __init__(self):
        self.found = {}

    def output(self, part, z_MBO):
        self.found[part.key] = float(z_MBO.var(correction=0))

    def __getattr__(self, name):
        return lambda *_: None


def variances(run):
    stack, noted = Stack([run]), Variances()
    with torch.no_grad():
        stack.network(first_batch(run).to(getattr(torch, run.dtype)), noted)
    return noted.found


def lsuv(**changes):
    return small(init__name="lsuv", **changes)


@pytest.mark.parametrize("way", [way for way in ALL if way not in ("gated", "residual, fixup")])
@pytest.mark.parametrize("sigma_b", [0.0, 0.5])
def test_every_matrix_puts_out_unit_variance(way, sigma_b):
    """Also where norms, gates and skips stand in between."""
    found = variances(replace(ALL[way], init=lsuv(init__sigma_b=sigma_b).init))
    assert max(abs(variance - 1) for variance in found.values()) < TOLERANCE


def test_against_a_loop():
    run = lsuv(model__activation="relu", seed=2, data__seed=5)
    h, network = first_batch(run)[0], Stack([run]).network
    for layer, (fan_in, fan_out) in enumerate(((64, 12), (12, 12), (12, 12), (12, 10)), start=1):
        weight = weights("orthogonal", fan_in, fan_out, generator("weights", 2, layer))
        for _ in range(3):
            if abs((h @ weight).var(correction=0) - 1) >= 0.1:
                weight = weight / (h @ weight).std(correction=0)
        torch.testing.assert_close(network.parts[layer, ""].tensors["weight"][0].detach(), weight)
        h = torch.relu(h @ weight)


def test_scales():
    """Without biases one division is exact; with them the weights fill what the biases leave."""
    assert unit_scale(lambda factor: 9 * factor**2) == pytest.approx(1 / 3, rel=1e-15)
    assert unit_scale(lambda factor: 1.05 * factor**2) == 1
    factor = unit_scale(lambda factor: 9 * factor**2 + 0.3)
    assert abs(9 * factor**2 + 0.3 - 1) < TOLERANCE
    assert unit_scale(lambda factor: 0.0) == unit_scale(lambda factor: float("nan")) == 1


def test_scope_hidden_spares_the_ends():
    run = lsuv(init__scope="hidden", model__width=40)
    standard = Stack([small(init__name="standard", model__width=40)]).network
    network, found = Stack([run]).network, variances(run)
    assert torch.equal(network.parts[1, ""].tensors["weight"], standard.parts[1, ""].tensors["weight"])
    assert abs(found[1, ""] - 1) > TOLERANCE > max(abs(found[layer, ""] - 1) for layer in (2, 3))


def test_weights_depend_on_the_runs_batch_and_not_on_its_neighbours():
    weight = lambda *runs: [
        tuple(part.weight_MIO[m].detach() for part in Stack(runs).network.matrices) for m in range(len(runs))
    ]
    same = lambda one, other: all(map(torch.equal, one, other))
    run, other = lsuv(data__seed=1), lsuv(data__seed=2)
    stacked = weight(run, small(init__name="he"), other)
    assert same(stacked[0], weight(run)[0]) and same(stacked[2], weight(other)[0])
    assert not same(stacked[0], stacked[2])
    single = weight(replace(run, dtype="float32"))[0]
    assert same(single, [tensor.float() for tensor in stacked[0]])


def test_needs_examples_and_small_biases():
    with pytest.raises(ValueError, match=r"init.name=lsuv needs the first batch"):
        build([lsuv()], 64, 10, torch.device("cpu"))
    with pytest.raises(ConfigError, match=r"^init.sigma_b: got 1.0, accepts a number below 1 with init.name=lsuv"):
        require_buildable(lsuv(init__sigma_b=1.0))


@pytest.mark.parametrize(("activation", "growth", "tolerance"), [("tanh", 1.1778, 0.02), ("relu", 1.0, 0.05)])
def test_fixes_the_forward_pass_alone(activation, growth, tolerance, train_all):
    """50 layers of 256 units: variances are 1 and mean squares of gradients grow as E phi'^2 / E phi^2 a layer."""
    deep = {"steps": 0, "loss": "cotangent", "data__batch_size": 32, "model__depth": 50, "model__width": 256}
    training = train_all(*(lsuv(seed=seed, dtype="float32", model__activation=activation, **deep) for seed in (0, 1)))
    layers = training.records.tables()["layers"].query("5 <= layer <= 47")
    assert layers["z_rms"].between(0.94, 1.06).all()
    log = np.log(layers.pivot(index="layer", columns="run", values="dz_rms").to_numpy() ** 2).mean(1)
    slope = -np.polyfit(range(len(log)), log, 1)[0]
    assert np.exp(slope) == pytest.approx(growth, rel=tolerance)


def test_what_is_taken_up_goes_on_with_the_weights_that_it_had():
    run, whole, halves = lsuv(steps=4), Path("whole"), Path("halves")
    train([run], Store(whole))
    for _ in range(2):
        training = Training([run], Store(halves))
        while not training.done and training.step != 3:
            training.observe_and_update()
        training.save("done" if training.done else "running")
        if not training.done:
            training.observe_and_update()  # what was not saved is lost
    train([run], Store(halves))
    for name, table in read(whole).comparable().items():
        found = read(halves).comparable()[name]
        pd.testing.assert_frame_equal(found.assign(folder=""), table.assign(folder=""), check_exact=True)
