"""Sound networks as people build them, and the same with a fault put in, against what float64 says without vgexp."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
import zoo
from field import MUTATIONS, NETWORKS, batch_for, mutated
from field.truth import truth

from vgexp.watching.checkup import diagnose

EARLY = {"AlexNet"}
"""Those whose gradient falls by two to three decades at initialisation: they may be called vanishing."""


def said(model, batch, loss_fn):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # dropout as in the oracle's pass
        return diagnose(model, batch, loss_fn).verdict


@pytest.mark.parametrize("name", NETWORKS)
def test_sound_networks_have_no_finding(name):
    """Whatever the loss is multiplied by, and in float64."""
    loss_fn, model = NETWORKS[name].loss, mutated(name, "sound")
    batch = batch_for(name, model)
    verdicts = [said(model, batch, partial(scaled, loss_fn, scale)) for scale in (1.0, 1e-12, 1e6)]
    verdicts.append(said(model.double(), batch_for(name, model), loss_fn))
    assert set(verdicts) <= {"healthy", "undecided"} | ({"vanishing"} if name in EARLY else set())


def scaled(loss_fn, scale, *given):
    return scale * loss_fn(*given)


@pytest.mark.parametrize("name", NETWORKS)
def test_faults_are_named_and_harmless_ones_are_not(name):
    loss_fn, wrong = NETWORKS[name].loss, {}
    for mutation in MUTATIONS:
        model = mutated(name, mutation)
        if model is None:
            continue
        batch = batch_for(name, model)
        try:
            true = truth(model, batch, loss_fn)
        except RuntimeError as error:  # a model that cannot run says so itself
            with pytest.raises(RuntimeError) as raised:
                diagnose(model, batch, loss_fn)
            assert str(error) in str(raised.value)
            continue
        verdict = said(model, batch, loss_fn)
        if verdict not in true.allows():
            wrong[mutation] = (verdict, sorted(true.allows()), true)
    assert not wrong


UNSEEN = {
    "checkpointed",
    "checkpointed, reentrant",
    "functional relu silent",
}
"""Layers that run again, and units of functions, are beyond the oracle."""


@pytest.mark.parametrize("name", [name for name in zoo.ZOO if name not in UNSEEN])
def test_the_oracle_knows_the_zoo(name):
    model, batch = zoo.problem(name)
    assert zoo.ZOO[name][0] in truth(model, batch, lambda o, y: F.cross_entropy(zoo.logits(o), y)).allows()
