import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from watched import backpropagate, batch, by_hand, linears, mlp, rms

from vgexp.watching.hooks.calls import Call
from vgexp.watching.hooks.graph import ACTIVATION_NODES
from vgexp.watching.hooks.layers import Layer
from vgexp.watching.monitor import watch


def test_two_backwards_are_pooled():
    model, (x, y) = mlp(), batch()
    one, two = by_hand(linears(model), x[:4], y[:4]), by_hand(linears(model), x[4:], y[4:])
    with watch(model) as monitor:
        for part in (slice(0, 4), slice(4, 12)):
            F.cross_entropy(model(x[part]), y[part]).backward()
        monitor.step()
    pooled = [math.sqrt((4 * a**2 + 8 * b**2) / 12) for a, b in zip(one["dz_rms"], two["dz_rms"], strict=True)]
    frame = monitor.frame()
    assert len(frame) == 4 and frame["dz_rms"].tolist() == pytest.approx(pooled, rel=1e-5)
    assert frame["dw_rms"].tolist() == pytest.approx([rms(layer.weight.grad) for layer in linears(model)], rel=1e-5)


def test_norms_neither_underflow_nor_overflow():
    model, (x, y) = mlp(nn.Sigmoid, depth=30), batch()
    for scale in (1e-18, 1e30):
        with watch(model) as monitor:
            (scale * F.cross_entropy(model(x), y)).backward()
            monitor.step()
            model.zero_grad()
        expected = by_hand(linears(model), x, y, torch.sigmoid)
        for column in ("dz_rms", "dw_rms"):
            values = [scale * value for value in expected[column]]
            normal = [i for i, value in enumerate(values) if 1e-36 < value < 1e36]
            assert len(normal) > 10
            seen = monitor.frame()[column]
            assert [seen[i] for i in normal] == pytest.approx([values[i] for i in normal], rel=1e-3)


def test_quantities_of_activations():
    model, (x, y) = mlp(nn.ReLU), batch()
    with torch.no_grad():
        model[2].bias[:4] = -100.0
    with watch(model) as monitor:
        backpropagate(model, x, y)
        monitor.step()
    frame, h = monitor.frame(), x
    with torch.no_grad():
        for i, expected in enumerate(frame.to_dict("records")[:3]):
            h = torch.relu(model[2 * i](h))
            assert expected["h_mean"] == pytest.approx(float(h.mean()), rel=1e-5)
            assert expected["h_std"] == pytest.approx(float(h.std(correction=0)), rel=1e-5)
            assert expected["dead"] == pytest.approx(float((h == 0).all(0).float().mean()))
    assert frame["dead"][1] >= 4 / 16 and frame["saturation"].isna().all()


@pytest.mark.parametrize("phi", [nn.Tanh, nn.ReLU])
def test_an_empty_batch_has_no_moments(phi):
    model = nn.Sequential(nn.Linear(4, 4), phi(), nn.Linear(4, 2))
    with watch(model, every=1) as monitor:
        model(torch.zeros(0, 4)).sum().backward()
        monitor.step()
    assert monitor.frame()[["h_mean", "h_std"]].isna().all(axis=None)


def linear_call():
    return Call(Layer("a", nn.Linear(4, 4), []), 0)


@pytest.mark.parametrize("device", ["host", "elsewhere"])
def test_norms_are_pooled_over_passes(device):
    x, y = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.full((2, 4), 1e-30)
    call = linear_call()
    call.norm("dz_rms", x)
    if device == "elsewhere":  # there a norm is a tensor
        call.totals["dz_rms"] = torch.tensor(call.totals["dz_rms"], dtype=torch.float64)
    call.norm("dz_rms", y)
    call.norm("dz_rms", x)
    assert float(call.totals["dz_rms"]) == pytest.approx(float(torch.cat([x, y, x]).double().norm()))
    assert call.counts["dz_rms"] == 48 and isinstance(call.totals["dz_rms"], float) is (device == "host")


@pytest.mark.parametrize("name", ["Tanh", "Sigmoid", "Relu", "Gelu"])
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "strided", "negated", "vector", "empty", "complex"])
def test_an_activation_is_measured_by_its_saved_tensor(name, kind):
    z = 3 * torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    z[:, 1] = -30.0
    node, call = ACTIVATION_NODES[name], linear_call()
    phi = {"Gelu": F.gelu}.get(name) or getattr(torch, name.lower())
    z = {"vector": z[0], "empty": z[:0], "strided": z.T.contiguous().T}.get(kind, z)
    saved = z if node.saved == "self" else phi(z)
    saved = saved.to({"bfloat16": torch.bfloat16, "complex": torch.complex128}.get(kind, torch.float32))
    if kind == "negated":
        saved = torch.complex(saved, -saved).conj().imag
        assert saved.is_neg()
    call.activated(node, saved)
    assert call.activation == node.name
    if kind in ("empty", "complex"):
        assert call.totals == {} and call.off == []
        return
    leaf = z.clone().requires_grad_()
    h = phi(leaf)
    (slope,) = torch.autograd.grad(h.sum(), leaf)
    h = h.detach()
    top = {"Sigmoid": 0.25, "Gelu": 1.1289}.get(name, 1.0)
    expected = {"h_mean": float(h.mean()), "h_std": float(h.std(correction=0))}
    if name == "Relu":
        off = (slope == 0).reshape(-1, 4)
        expected["dead"] = float(off.all(0).double().mean())
        ((always_N, never_N),) = call.off
        assert always_N.tolist() == off.all(0).tolist() and never_N.tolist() == (~off.any(0)).tolist()
    else:
        expected["saturation"] = float((slope.abs() < 0.04 * top).double().mean())
    assert call.totals == pytest.approx(expected, rel=1e-2 if kind == "bfloat16" else 1e-5)
    assert set(call.counts.values()) == {1}


@pytest.mark.parametrize("phi", [nn.Tanh, nn.ReLU, nn.GELU])
def test_nothing_waits_for_a_device_within_a_step(phi):
    """On the meta device there is nothing to wait for: to ask for a number raises."""
    model, x = mlp(phi).to("meta"), torch.empty(12, 16, device="meta")
    with watch(model, every=1) as monitor:
        for _ in range(2):
            model(x).sum().backward()
        calls = monitor._listener.calls()
    assert {call.activation for call in calls[:-1]} == {phi.__name__.lower()}
    totals = [call.totals[column] for call in calls for column in call.totals if column != "depth"]
    assert len(totals) == 3 * 5 + 2 + 4 and all(total.device.type == "meta" and total.ndim == 0 for total in totals)
