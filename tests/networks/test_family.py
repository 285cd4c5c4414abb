"""What holds for every family: stacks, recording, memory modes, gradients, costs, resuming."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from walk import ALL, GATED, MEMORY, WAYS, assert_equal, remembered, tensors

from vgexp.costs.counting import ledger
from vgexp.costs.forecast import flops, live_bytes
from vgexp.networks.families import FAMILIES
from vgexp.networks.losses import LOSSES
from vgexp.networks.optimizers import OPTIMIZERS
from vgexp.networks.parts import Vector
from vgexp.results.writing import Store
from vgexp.training.loop import Training


@pytest.fixture(autouse=True)
def _gated(monkeypatch):
    monkeypatch.setitem(FAMILIES, "gated", GATED)


STEPS = 3


def members(run):
    """Seeds, scales and learning rates that differ, for a few steps."""
    run = replace(run, steps=STEPS)
    return [
        replace(run, seed=seed, init=replace(run.init, sigma_w=scale, sigma_b=0.1), optim=replace(run.optim, lr=lr))
        for seed, scale, lr in ((0, 1.3, 0.02), (1, 1.0, 0.05))
    ]


def optimized(run, name):
    """`eps` is large: in front of a norm a bias has no gradient but rounding errors, which Adam divides by it."""
    return replace(run, optim=replace(run.optim, name=name, eps=1e-3))


def remedied(run):
    """With all that may be asked of an optimiser besides; the clip is reached at every step."""
    return replace(run, optim=replace(run.optim, clip=0.1, weight_decay=0.3, warmup=2, schedule="cosine"))


def test_every_family_is_walked():
    assert {run.model.family for run in WAYS.values()} >= set(FAMILIES)


def assert_golden_and_resumed(run):
    """A stack of M is M stacks of one; and it is the same, bit for bit, when it goes on from what it saved."""
    runs, store = members(run), Store(Path("stack"))
    stacked = Training(runs, store)
    advance(stacked, 2)
    stacked.save()
    resumed, whole = Training(runs, store), Training(runs, Store(Path("whole")))
    assert resumed.step == 2
    advance(stacked), advance(resumed), advance(whole)
    assert_equal(tensors(resumed), tensors(stacked))
    tables = whole.records.tables()
    for name, table in resumed.records.tables().items():
        later = tables[name][tables[name]["step"] >= 2].reset_index(drop=True)
        pd.testing.assert_frame_equal(table, later, check_exact=True)
    for m, one in enumerate(runs):
        alone = Training([one], Store(Path("alone")))
        advance(alone)
        for place, tensor in tensors(alone).items():
            torch.testing.assert_close(tensors(stacked)[place][m], tensor[0], rtol=1e-12, atol=1e-12)
        expected = alone.records.tables()["layers"]
        rows = tables["layers"][tables["layers"]["run"] == stacked.records.runs[m]]
        for column in ("z_rms", "h_mean", "h_std", "dz_rms", "dx_rms", "dw_rms", "w_rms", "update_ratio"):
            np.testing.assert_allclose(rows[column], expected[column], rtol=1e-10, atol=1e-12)


def advance(training, steps=STEPS + 1):
    """So many steps further, or to the end."""
    for _ in range(steps):
        if not training.done:
            training.observe_and_update()


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_stack_is_its_members_and_goes_on_where_it_was(way, memory, optimizer):
    run = remembered(optimized(ALL[way], optimizer), memory)
    if run is not None:
        assert_golden_and_resumed(run)


@pytest.mark.parametrize(("i", "way"), list(enumerate(ALL)))
def test_so_is_one_that_clips_decays_and_warms_up(i, way):
    """Once for each way, in turn with each memory mode and optimiser."""
    memory = "invert" if remembered(ALL[way], "invert") else MEMORY[i % 3]
    run = optimized(ALL[way], list(OPTIMIZERS)[i // 3 % 3])
    assert_golden_and_resumed(remembered(remedied(run), memory))


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("tier", ["light", "full", "cost"])
@pytest.mark.parametrize("on", ["batch", "monitor"])
def test_recording_leaves_the_weights_bitwise_equal(way, memory, tier, on, train_all):
    run = remembered(replace(ALL[way], dtype="float32", steps=4), memory)
    if run is None:
        return
    silent = train_all(replace(run, probe=replace(run.probe, every="never", histograms="never")))
    watched = train_all(replace(run, probe=replace(run.probe, every=1, tier=tier, on=on, histograms=2)))
    assert_equal(tensors(silent), tensors(watched))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("every", ["1", "2", "sqrt", "revolve(1)", "revolve(3)"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_recomputing_is_bitwise_storing(way, every, optimizer, train_all):
    run = optimized(replace(WAYS[way], steps=4), optimizer)
    run = replace(run, model=replace(run.model, depth=6), probe=replace(run.probe, tier="full"))
    stored, again = train_all(run), train_all(remembered(run, f"checkpoint {every}"))
    assert_equal(tensors(stored), tensors(again))
    for name, table in stored.records.tables().items():
        found = again.records.tables()[name].drop(columns="run")
        pd.testing.assert_frame_equal(found.map(repr), table.drop(columns="run").map(repr))  # NaN within lists too


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("memory", MEMORY[1:])
def test_recomputing_is_storing_where_gradients_are_kept(way, memory, train_all):
    """Bit for bit, but for what is rebuilt."""
    run = remembered(remedied(optimized(replace(WAYS[way], steps=4), "adam")), memory)
    if run is None:
        return
    ours, theirs = tensors(train_all(run)), tensors(train_all(replace(run, memory="store")))
    if memory != "invert":
        assert_equal(ours, theirs)
    for place, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[place], rtol=1e-9, atol=1e-11)


def written_out(network, x):
    """The network by torch's own operations, at M = 1: outputs, z by part, states by layer, h by part."""
    run, phi = network.run, network.activation.phi
    value = {key: [t[0].detach() for t in part.tensors.values()] for key, part in network.parts.items()}
    z, h, states = {}, {}, {}

    def linear(key, signal):
        weight, bias = value[key]
        z[key] = signal @ weight + bias
        return z[key]

    def activate(key, signal):
        h[key] = phi(signal)
        return h[key]

    def norm(layer, signal, name="norm"):
        if run.model.norm == "none":
            return signal
        gain, *shift = (tensor[0] for tensor in value[layer, name])
        if run.model.norm == "batch":
            return F.batch_norm(signal, None, None, gain, *shift, training=True)
        return getattr(F, run.model.norm + "_norm")(signal, signal.shape[-1:], gain, *shift, eps=1e-5)

    def shift(layer, signal, name):
        return signal + value[layer, name][0] if run.model.scalars == "fixup" else signal

    depth, family, pre = run.model.depth, run.model.family, run.model.placement == "pre"
    reads_phi = family in ("dense", "gated") or (family == "residual" and pre)
    x = linear((1, ""), x)
    if not reads_phi:
        before = family == "residual" or run.model.norm_at == "before"
        normed = (lambda signal: signal) if family in ("highway", "reversible") else (lambda signal: norm(1, signal))
        x = activate((1, ""), normed(x)) if before else normed(activate((1, ""), x))
    states[1] = x
    for layer in range(2, depth + 1):
        key, inner = (layer, ""), (layer, "inner")
        scale = {"1/sqrt(L)": (depth - 1) ** -0.5, "learned": 0}.get(run.model.branch, run.model.branch)
        if run.model.branch == "learned":
            scale = value[layer, "alpha"][0]
        if family == "plain" and run.model.norm_at == "before":
            x = activate(key, norm(layer, linear(key, x)))
        elif family == "plain":
            x = norm(layer, activate(key, linear(key, x)))
        elif family == "reversible":
            a, b = x.chunk(2, -1)
            x = torch.cat([b, a + scale * activate(key, linear(key, b))], -1)
        elif family == "highway":
            made = activate(key, linear(key, x))
            gate = 1 / (1 + torch.exp(-linear((layer, "gate"), x)))
            x = gate * made + (1 - gate) * x
        elif family == "dense":
            x = torch.cat([x, linear(key, activate((layer - 1, ""), norm(layer, x)))], -1)
        elif family == "gated":
            branch = linear(key, activate((layer - 1, ""), x) * value[layer, "gain"][0])
            x = x + value[layer, "alpha"][0] * branch
        elif pre:
            if run.model.branch_layers == 2:
                branch = activate((layer - 1, ""), shift(layer, norm(layer, x), "inner_phi_shift"))
                made = norm(layer, linear(inner, shift(layer, branch, "inner_shift")), "inner_norm")
                branch = shift(layer, activate(inner, shift(layer, made, "phi_shift")), "shift")
            else:
                branch = activate((layer - 1, ""), norm(layer, x))
            factor = value[layer, "factor"][0] if run.model.scalars == "fixup" else 1
            x = x + scale * factor * linear(key, branch)
        elif run.model.branch_layers == 2:
            x = norm(layer, x + scale * linear(key, activate(inner, linear(inner, x))))
        else:
            x = norm(layer, x + scale * activate(key, linear(key, x)))
        states[layer] = x
    if reads_phi:
        x = activate((depth, ""), shift(depth + 1, norm(depth + 1, x), "phi_shift"))
        x = shift(depth + 1, x, "shift")
    return linear((depth + 1, ""), x), z, states, h


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("memory", MEMORY)
def test_every_signal_against_autograd(way, memory, train_all):
    run = remembered(replace(ALL[way], steps=0), memory)
    if run is None:
        return
    run = replace(run, init=replace(run.init, sigma_b=0.2))
    training = train_all(run)
    stack = training.stack
    x_MBI, y_MB = stack.stream.batch(0)
    out, z, states, h = written_out(stack.network, x_MBI[0].clone().requires_grad_())
    torch.testing.assert_close(stack.network(x_MBI)[0].detach(), out.detach(), rtol=1e-12, atol=1e-12)
    loss = LOSSES["cross_entropy"](out[None], y_MB[:1]).sum()
    signals = {("dz", key): signal for key, signal in z.items()} | {("dx", (l, "")): s for l, s in states.items()}
    gradients = dict(zip(signals, torch.autograd.grad(loss, list(signals.values())), strict=True))
    table = training.records.tables()["layers"].set_index(["layer", "part"])
    assert list(table.index) == sorted(stack.network.parts)
    rms = lambda signal: float(signal.square().mean().sqrt())
    for key in stack.network.parts:
        row = table.loc[key]
        for column, signal in (
            ("z_rms", z.get(key)),
            ("h_rms", h.get(key)),
            ("dz_rms", gradients.get(("dz", key))),
            ("dx_rms", gradients.get(("dx", key))),
        ):
            expected = np.nan if signal is None else rms(signal.detach())
            assert row[column] == pytest.approx(expected, rel=1e-9, nan_ok=True), (key, column)


@pytest.mark.parametrize("way", [way for way in ALL if not way.startswith("batch")])
def test_spectra_are_those_of_autograds_jacobian(way, train_all):
    run = ALL[way]
    run = replace(run, steps=0, probe=replace(run.probe, tier="full"), init=replace(run.init, sigma_b=0.2))
    training = train_all(run)
    network = training.stack.network
    x_MBI, _ = training.stack.stream.batch(0)
    first = x_MBI[0, :1].clone().requires_grad_()
    _, _, states, _ = written_out(network, first)
    spectra = training.records.tables()["spectra"].set_index("layer")["singular_values"]
    assert list(spectra.index) == [2, 3]
    for layer in (2, 3):
        rows = [torch.autograd.grad(x, states[layer - 1], retain_graph=True)[0][0] for x in states[layer][0]]
        expected = torch.linalg.svdvals(torch.stack(rows))
        np.testing.assert_allclose(spectra[layer], expected, rtol=1e-9, atol=1e-12)


def test_vectors_train_as_autograd_and_their_rate_say(train_all):
    """One step of SGD against the gradient of the network written out."""
    run = replace(WAYS["gated"], steps=1)
    before, after = train_all(replace(run, steps=0)), train_all(run)
    x_MBI, y_MB = before.stack.stream.batch(0)
    parts = {key: part for key, part in before.stack.network.parts.items() if isinstance(part, Vector)}
    leaves = {key: part.weight_M1N.detach().clone().requires_grad_() for key, part in parts.items()}
    network = before.stack.network
    for key, leaf in leaves.items():
        network.parts[key].tensors["weight"] = leaf
    out, *_ = written_out_with(network, leaves, x_MBI[0])
    LOSSES["cross_entropy"](out[None], y_MB[:1]).mean().backward()
    rows = after.records.tables()["layers"].query("step == 0").set_index(["layer", "part"])
    for key, leaf in leaves.items():
        rate = 0.1 if key[1] == "gain" else 1.0
        moved = after.stack.network.parts[key].tensors["weight"].detach()
        torch.testing.assert_close(moved, leaf.detach() - run.optim.lr * rate * leaf.grad, rtol=1e-11, atol=1e-13)
        rms = lambda tensor: float(tensor.square().mean().sqrt())
        assert rows.loc[key, "dw_rms"] == pytest.approx(rms(leaf.grad))
        assert rows.loc[key, "update_ratio"] == pytest.approx(rms(moved - leaf.detach()) / rms(leaf.detach()))
        assert np.isnan(rows.loc[key, "dz_rms"])


def written_out_with(network, leaves, x):
    """As `written_out`, with the vectors as leaves that want a gradient."""
    phi, value = network.activation.phi, {key: list(part.tensors.values()) for key, part in network.parts.items()}
    linear = lambda key, signal: signal @ value[key][0][0].detach() + value[key][1][0].detach()
    x = linear((1, ""), x)
    for layer in range(2, network.run.model.depth + 1):
        x = x + leaves[layer, "alpha"][0] * linear((layer, ""), phi(x) * leaves[layer, "gain"][0])
    return linear((network.run.model.depth + 1, ""), phi(x)), x


@pytest.mark.parametrize("way", [*(way for way in WAYS if way != "gated"), "layer, pre, two", "batch, plain, after"])
@pytest.mark.parametrize("memory", MEMORY)
def test_costs_in_closed_form_are_those_counted(way, memory, train_all):
    run = remembered(replace(ALL[way], steps=0, model=replace(ALL[way].model, depth=23)), memory)
    if run is None:
        return
    stack = train_all(run).stack
    counted = ledger(stack.network, *stack.stream.batch(0), stack.new_optimizer)
    assert flops(run, 64, 10) == (counted.forward_flops, counted.backward_flops)
    assert live_bytes(run, 64, 10)(23) == counted.live_bytes
    assert sum(costs["flops"] for costs in counted.parts.values()) == counted.forward_flops + counted.backward_flops
