import math
from dataclasses import replace

import pytest
import torch
from samples import small

from vgexp.networks.families import FAMILIES
from vgexp.theory.depths import DEEPEST, DEEPEST_SAMPLED, EXAMPLES, depth_of
from vgexp.theory.meanfield import profile
from vgexp.theory.sampled import NoTheory

X_KI = torch.rand(16, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y_K = torch.arange(16) % 10


def found(run, decades=3.0, examples=16):
    return depth_of(run, X_KI[:examples], Y_K[:examples], 10, decades)


def fall(run, layers, signal, examples=16):
    """Decades from the last hidden layer of a network of that depth to the first."""
    deep = replace(run, model=replace(run.model, depth=layers))
    rms = profile(deep, X_KI[:examples], Y_K[:examples], 10).query("part == ''").set_index("layer")[signal]
    return math.log10(rms[layers] / rms[1])


@pytest.mark.parametrize(("sigma_w", "falls"), [(1.0, True), (1.2, True), (1.7, False)])
def test_rectifiers_multiply_with_one_factor(sigma_w, falls):
    run = small(model__activation="relu", init__name="normal", init__sigma_w=sigma_w, loss="cotangent")
    layers = math.ceil(1 + 3 / abs(math.log10(sigma_w / math.sqrt(2))))
    assert found(run) == (layers, falls, DEEPEST, True)
    assert found(run, decades=1.0).layers == math.ceil(1 + 1 / abs(math.log10(sigma_w / math.sqrt(2))))


def test_branches_that_get_smaller_with_the_depth():
    """(1 + 18 / (L - 1))^(L - 1) >= 10^6: another network at each depth."""
    of = small(model__family="residual", model__branch="1/sqrt(L)", model__activation="relu", loss="cotangent")
    run = replace(of, init=replace(of.init, name="normal", sigma_w=6.0))
    layers = next(n for n in range(2, 1000) if (n - 1) * math.log10(1 + 18 / (n - 1)) >= 6)
    assert found(run).layers == layers > 20
    weaker = replace(run, init=replace(run.init, sigma_w=3.0))  # e^(9 / 2) at most
    assert found(weaker) == (None, False, DEEPEST, True)


@pytest.mark.parametrize(
    ("fields", "signal"),
    [
        ({"model__activation": "tanh", "init__name": "standard"}, "dz_rms"),
        ({"model__activation": "sigmoid", "init__name": "he", "loss": "cross_entropy"}, "dz_rms"),
        ({"model__activation": "gelu", "init__name": "he", "init__sigma_b": 0.1}, "dz_rms"),
        ({"model__activation": "tanh", "init__name": "lecun", "model__family": "residual"}, "dx_rms"),
    ],
)
def test_the_network_of_that_depth_is_the_first(fields, signal):
    run = small(**fields)
    reached = found(run)
    lost, before = fall(run, reached.layers, signal, EXAMPLES), fall(run, reached.layers - 1, signal, EXAMPLES)
    assert abs(lost) >= 3 > abs(before) and (lost > 0) == reached.falls
    assert abs(fall(run, reached.layers, signal)) == pytest.approx(3, abs=2 * abs(lost - before))  # of all examples


def test_sampling_finds_the_same_depth(monkeypatch):
    run = small(model__activation="tanh", init__name="normal", init__sigma_w=0.9, loss="cotangent")
    exact = found(run).layers
    monkeypatch.setitem(FAMILIES, "plain", replace(FAMILIES["plain"], recursion=None))
    sampled = found(run)
    assert sampled.layers == pytest.approx(exact, rel=0.05) and not sampled.exact


@pytest.mark.parametrize(
    "fields", [{"model__norm": "layer"}, {"model__family": "highway"}, {"model__norm": "batch"}], ids=str
)
def test_where_theory_samples_the_network_of_that_depth_has_lost_as_much(fields):
    run = small(**fields, init__name="lecun")
    reached = found(run)
    lost = fall(run, reached.layers, "dx_rms" if "model__family" in fields else "dz_rms")
    assert abs(lost) == pytest.approx(3, abs=0.25) and (lost > 0) == reached.falls


def test_none_is_deep_enough():
    assert found(small(model__activation="relu", init__name="he")) == (None, False, DEEPEST, True)
    relu = small(model__activation="relu", model__norm="rms", model__width=64)
    assert found(relu) == (None, False, DEEPEST_SAMPLED, False)


def test_states_that_grow_with_the_depth_are_followed_less_far():
    assert found(small(model__family="dense", model__width=1000)).searched < DEEPEST_SAMPLED


@pytest.mark.parametrize(("sigma_w", "falls"), [(1e-150, True), (1e150, False)])
def test_beyond_all_numbers_it_has_changed_enough(sigma_w, falls):
    run = small(model__activation="identity", init__name="normal", init__sigma_w=sigma_w, loss="cotangent")
    assert found(run)[:2] == (2, falls)


def test_listed_widths_say_nothing_of_other_depths():
    with pytest.raises(NoTheory, match="a list of widths"):
        found(small(model__width=[8, 9], model__depth=2))
