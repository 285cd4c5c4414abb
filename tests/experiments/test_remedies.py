import math
import shlex

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from vgexp.config.errors import ConfigError
from vgexp.experiments.plan import single_run
from vgexp.experiments.prediction import predict
from vgexp.experiments.remedies import BETTER, REMEDIES, SHOWN, remedies
from vgexp.networks.activations import ACTIVATIONS
from vgexp.networks.families import FAMILIES
from vgexp.networks.initializers import INITIALIZERS
from vgexp.theory.expected import examples, profile_and_fit

QUICK = ("data=digits", "data.batch_size=4", "model.width=16")
NAMES = {
    "model.family": FAMILIES,
    "model.activation": ACTIVATIONS,
    "init.name": INITIALIZERS,
    "init.sigma_b": (0.0, 0.3),
    "model.norm": ("none", "none", "layer"),
    "model.depth": (3, 25),
}


def suggested(*overrides):
    run = single_run((*QUICK, *overrides))
    seen = examples(run)
    _, fit = profile_and_fit(run, seen)
    return fit, remedies(run, fit, seen)


@settings(max_examples=settings.default.max_examples // 10)
@given(st.fixed_dictionaries({field: st.sampled_from(list(names)) for field, names in NAMES.items()}))
def test_no_remedy_is_worse_than_the_network_and_healthy_ones_get_none(fields):
    if fields["model.family"] in ("highway", "reversible"):
        fields.pop("model.norm")
    overrides = [f"{field}={value}" for field, value in fields.items()]
    try:
        fit, found = suggested(*overrides)
    except ConfigError:  # a law that is not for every family
        reject()
    assert not (fit.verdict == "healthy" and found) and len(found) <= min(SHOWN, len(REMEDIES))
    for one in found:
        assert not abs(one.fall) > BETTER * abs(fit.fall.point)
        typed = single_run((*QUICK, *overrides, *shlex.split(one.overrides)))
        _, again = profile_and_fit(typed, examples(typed))
        assert again.fall.point == pytest.approx(one.fall, abs=0.25)
        assert one.factor == pytest.approx(10 ** (-one.fall / (fields["model.depth"] - 1)))
        assert again.verdict == one.verdict or abs(abs(one.fall) - 1.75) < 0.5
    left = [round(abs(one.fall), 1) for one in found]
    assert left == sorted(left) and len({one.overrides for one in found}) == len(found)


@pytest.mark.parametrize(
    ("overrides", "helps"),
    [
        (["init.name=standard", "model.activation=relu", "model.depth=30"], "init.name=he"),
        (
            ["init.name=lecun", "init.sigma_w=0.5", "model.activation=relu", "model.depth=12"],
            "init.name=he init.sigma_w=null",
        ),
        (["init.name=standard", "model.activation=sigmoid", "model.depth=60"], "init.name=critical"),
        (["model.family=residual", "model.activation=relu", "model.depth=30"], "'model.branch=1/sqrt(L)'"),
        (["model.family=highway", "model.depth=60"], "model.gate_bias=-4.0"),
        (["init.name=standard", "model.activation=gelu", "model.depth=60"], "model.norm=layer"),
    ],
)
def test_what_is_known_to_help(overrides, helps):
    _, found = suggested(*overrides)
    assert any(helps in one.overrides for one in found)


def measured(block, depth=20, width=300, seeds=3):
    """What a layer multiplies the rms of a gradient with, in networks written out with torch alone."""
    falls = []
    for seed in range(seeds):
        draw = torch.Generator().manual_seed(seed)
        weights = [torch.randn(width, width, generator=draw, dtype=torch.float64) for _ in range(depth)]
        x = torch.rand(20, width, generator=draw, dtype=torch.float64, requires_grad=True)
        states = [x @ weights[0] * (1 / 3 / width) ** 0.5]
        for weight in weights[1:]:
            states.append(block(states[-1], weight / width**0.5))
        cotangent = torch.randn(states[-1].shape, generator=draw, dtype=torch.float64)
        gradients = torch.autograd.grad((states[-1] * cotangent).sum(), states)
        falls.append(math.log(gradients[-1].square().mean() / gradients[0].square().mean()) / 2)
    return math.exp(-sum(falls) / seeds / (depth - 1))


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        ("init.name=he", lambda z, weight: torch.relu(z) @ weight * 2**0.5),
        ("'model.branch=1/sqrt(L)'", lambda x, weight: x + torch.relu(x) @ weight * (1 / 3 / 19) ** 0.5),
    ],
)
def test_wide_networks_do_what_the_remedy_promises(kind, block):
    _, found = suggested("model.activation=relu", "init.name=standard", "model.depth=20", "model.width=300")
    promised = next(one for one in found if kind in one.overrides)
    assert promised.factor == pytest.approx(measured(block), rel=0.01)


def test_what_a_family_cannot_be_is_not_suggested():
    widths = str([10, 12] * 15).replace(" ", "")
    _, found = suggested("init.name=standard", f"model.width={widths}", "model.depth=30")
    assert found and not any("residual" in one.overrides for one in found)


def test_a_prediction_names_them():
    found = predict(*QUICK, "model.depth=30", "init.name=standard")
    assert list(found.remedies) == ["overrides", "signal", "factor", "fall", "verdict"]
    for row in found.remedies.itertuples():
        assert f"  {row.overrides} " in str(found)
        assert f"{row.signal} {row.factor:.3f}x a layer, {row.verdict}" in str(found)
    assert predict(*QUICK, "init.name=lecun").remedies.empty
