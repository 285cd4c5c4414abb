"""What is observed, against autograd, explicit Jacobian products and float64."""

import gc
import weakref
from dataclasses import replace
from functools import cached_property

import numpy as np
import pytest
import torch
from samples import small
from torch import nn

from vgexp.networks.activations import ACTIVATIONS
from vgexp.networks.gradients import MatrixGradient


def reference(training, run):
    """The same network by hand at M = 1: preactivations with their gradients at step 0, for the first batch."""
    x, y = training.stack.stream.batch(0)
    h, zs = x[0], []
    phi = ACTIVATIONS[run.model.activation].phi
    for layer in training.stack.network.matrices:
        z = h @ layer.weight_MIO[0].detach() + layer.bias_M1O[0]
        z.requires_grad_(True) if not zs else z.retain_grad()
        zs.append(z)
        h = phi(z)
    nn.functional.cross_entropy(zs[-1], y[0], reduction="sum").backward()
    return x[0], zs


def rms(x):
    return float(x.detach().square().mean().sqrt())


@pytest.mark.parametrize("name", ["tanh", "relu", "sigmoid", "gelu"])
@pytest.mark.parametrize("batch_size", [1, 6])
def test_every_quantity_against_autograd(name, batch_size, train_all):
    run = small(steps=0, model__activation=name, probe__tier="full", data__batch_size=batch_size, init__sigma_b=0.1)
    training = train_all(run)
    table = training.records.tables()["layers"].set_index("layer")
    x, zs = reference(training, run)
    phi = ACTIVATIONS[name]
    h = x
    for layer, z in zip(training.stack.network.matrices, zs, strict=True):
        row = table.loc[layer.layer]
        assert row["z_rms"] == pytest.approx(rms(z))
        assert row["dz_rms"] == pytest.approx(rms(z.grad))
        assert row["dw_rms"] == pytest.approx(rms(h.T @ z.grad / batch_size))
        assert row["w_rms"] == pytest.approx(rms(layer.weight_MIO))
        assert row["w_max"] == pytest.approx(float(layer.weight_MIO.detach().abs().max()))
        assert row["update_ratio"] == pytest.approx(run.optim.lr * row["dw_rms"] / row["w_rms"])
        if layer.layer > run.model.depth:
            assert np.isnan(row["h_std"])
            continue
        h = phi.phi(z.detach())
        slope = phi.slope(z).detach()
        assert row["h_mean"] == pytest.approx(float(h.mean()))
        assert row["h_std"] == pytest.approx(float(h.std(correction=0)))
        assert row["h_rms"] == pytest.approx(rms(h))
        assert row["dead"] == pytest.approx(float((slope == 0).all(0).double().mean()))
        if phi.piecewise_linear:
            assert "saturation" not in table
        else:
            assert row["saturation"] == pytest.approx(float((slope.abs() < 0.04 * phi.max_slope).double().mean()))


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_gradients_are_the_explicit_product_of_jacobians(name, train_all):
    """dz^1 = D^1 W^2 D^2 W^3 ... dz^{top}, D = diag(phi'), one example."""
    run = small(steps=0, model__activation=name, data__batch_size=1)
    training = train_all(run)
    _, zs = reference(training, run)
    phi, weights = ACTIVATIONS[name], [layer.weight_MIO[0].detach() for layer in training.stack.network.matrices]
    delta = zs[-1].grad[0]
    table = training.records.tables()["layers"].set_index("layer")
    for layer in range(run.model.depth, 0, -1):
        jacobian = torch.diag(phi.slope(zs[layer - 1].detach()[0])) @ weights[layer]
        delta = jacobian @ delta
        assert table.loc[layer, "dz_rms"] == pytest.approx(rms(delta), rel=1e-9)


def test_spectra_are_the_singular_values_of_autograds_jacobian(train_all):
    training = train_all(small(steps=0, probe__tier="full"))
    _, zs = reference(training, training.run)
    spectra = training.records.tables()["spectra"].set_index("layer")
    assert list(spectra.index) == [2, 3]
    for layer in (2, 3):
        h = torch.tanh(zs[layer - 2].detach()[0])
        weight, bias = (
            training.stack.network.matrices[layer - 1].weight_MIO[0].detach(),
            training.stack.network.matrices[layer - 1].bias_M1O[0, 0],
        )
        jacobian = torch.autograd.functional.jacobian(lambda u, w=weight, b=bias: torch.tanh(u @ w + b), h)
        expected = torch.linalg.svdvals(jacobian).numpy()
        assert np.asarray(spectra.loc[layer, "singular_values"]) == pytest.approx(expected, rel=1e-9)


def test_deep_sigmoid_in_float32_is_that_of_float64(train_all):
    """Depth 30, width 64: gradients of 1e-23 are neither lost nor wrong."""
    deep = {
        "steps": 0,
        "model__activation": "sigmoid",
        "model__depth": 30,
        "model__width": 64,
        "init__name": "standard",
    }
    single = train_all(small(dtype="float32", **deep)).records.tables()["layers"]
    double = train_all(small(dtype="float64", **deep)).records.tables()["layers"]
    for column in ("dz_rms", "dw_rms"):
        assert (single[column] > 0).all()
        assert single[column].to_numpy() == pytest.approx(double[column].to_numpy(), rel=1e-3)
    assert single["dz_rms"].min() < 1e-22


@pytest.mark.parametrize("sigma_w", [1e-20, 1e20])
def test_weights_of_any_size_have_an_rms(sigma_w, train_all):
    run = small(steps=0, dtype="float32", init__name="normal", init__sigma_w=sigma_w)
    table = train_all(run).records.tables()["layers"]
    fan_in = np.array([64, 12, 12, 12])
    assert table["w_rms"].to_numpy() == pytest.approx(sigma_w / np.sqrt(fan_in), rel=0.2)


def test_monitor_reads_signals_from_the_fixed_examples_and_updates_from_the_batch(train_all):
    batch = train_all(small(steps=0)).records.tables()["layers"]
    monitor = train_all(small(steps=0, probe__on="monitor")).records.tables()["layers"]
    assert monitor["dw_rms"].to_numpy() == pytest.approx(batch["dw_rms"].to_numpy())
    assert monitor["update_ratio"].to_numpy() == pytest.approx(batch["update_ratio"].to_numpy())
    assert (monitor["z_rms"] != batch["z_rms"]).all()
    training = train_all(small(steps=0, probe__on="monitor"))
    x, _ = training.stack.stream.monitor()
    expected = rms(training.stack.network(x)[0])
    assert monitor["z_rms"].iloc[-1] == pytest.approx(expected)


@pytest.mark.parametrize(("batch_size", "thin"), [(1, True), (6, False)])
def test_forming_the_weight_gradient_is_timed_with_the_backward_pass(batch_size, thin, train_all, monkeypatch):
    """A clock that runs while dW is formed: that time is the layer's, not the observer's."""
    now = [0.0]
    monkeypatch.setattr("vgexp.training.clock.time.perf_counter", lambda: now[0])
    product = MatrixGradient._sum_MIO.func

    def slow(gradient):
        now[0] += 1.0
        return product(gradient)

    timed = cached_property(slow)
    timed.__set_name__(MatrixGradient, "_sum_MIO")
    monkeypatch.setattr(MatrixGradient, "_sum_MIO", timed)
    run = small(steps=1, probe__tier="cost", data__batch_size=batch_size, probe__every="start")
    layers = train_all(run).records.tables()["layers"].query("step == 0 and 1 < layer < 4")
    assert list(layers["backward_ms"]) == [0.0 if thin else 1000.0] * 2


@pytest.mark.parametrize("on", ["batch", "monitor"])
def test_only_the_training_step_is_timed(on, train_all, monkeypatch):
    """A clock that ticks once a mark: each event of a layer gets one interval, in either mode."""
    ticks = iter(range(10**6))
    monkeypatch.setattr("vgexp.training.clock.time.perf_counter", lambda: next(ticks) / 1000)
    table = train_all(small(steps=0, probe__tier="cost", probe__on=on)).records.tables()["layers"]
    assert list(table["forward_ms"]) == pytest.approx([3.0] * 3 + [1.0])  # z, h, the block; z alone
    assert list(table["backward_ms"]) == pytest.approx([3.0] * 3 + [2.0])  # dx, dz and dW, the update; no dx


def test_nothing_of_a_recorded_pass_outlives_it(train_all, monkeypatch):
    """A deep network needs no more memory on a recorded step: what is measured are numbers."""
    training = train_all(small(steps=2, probe__every=1, probe__tier="full", probe__histograms="never"))
    observation = training.probe.observe(1)
    seen = []
    see = {name: getattr(observation, name) for name in ("output", "activation", "state_gradient", "backward")}

    def noted(name):
        def event(place, *tensors):
            gradients = [tensor for tensor in tensors if not isinstance(tensor, torch.Tensor)]
            seen.extend(weakref.ref(x) for x in [*tensors, *(gradient.dz_MBO for gradient in gradients)])
            see[name](place, *tensors)

        return event

    for name in see:
        monkeypatch.setattr(observation, name, noted(name))
    training.stack.backpropagate(*training.stack.stream.batch(1), observation, None)
    gc.collect()
    assert len(seen) == 4 + 2 * 3 + 3 + 2 * 4  # z; z and h; dx; a gradient and its dz
    assert all(reference() is None for reference in seen)
    numbers = [*observation.sums, *observation.columns.values()]
    assert all(isinstance(number, float) for column in numbers for number in column)


def test_thin_layers_and_a_fat_readout_are_measured_alike(train_all):
    """Batch 6 against 64 units is thin, against 10 outputs it is not."""
    run = small(steps=0, model__width=64, data__batch_size=6)
    runs = [run, replace(run, seed=1)]
    both = train_all(*runs).records.tables()["layers"]
    for name in both["run"].unique():
        alone = train_all(runs[list(both["run"].unique()).index(name)])
        x, zs = reference(alone, alone.run)
        for layer, z in zip(alone.stack.network.matrices, zs, strict=True):
            row = both[(both["run"] == name) & (both["layer"] == layer.layer)].iloc[0]
            assert row["dw_rms"] == pytest.approx(rms(x.T @ z.grad / 6))
            x = torch.tanh(z.detach())
