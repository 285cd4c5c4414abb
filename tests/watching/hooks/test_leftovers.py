import torch
import torch.nn.functional as F
from torch import nn
from watched import backpropagate, batch, mlp

from vgexp.watching.hooks.listener import Listener
from vgexp.watching.monitor import watch


def leftover(model, before, steps=2, every=1):
    """The layers with an old gradient in the last of some steps; `before(optimizer, place)` may clear them."""
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with watch(model, every=every) as monitor:
        for seed in range(steps):
            x, y = batch(seed=seed)
            before(optimizer, "forward")
            loss = F.cross_entropy(model(x), y)
            before(optimizer, "backward")
            loss.backward()
            monitor.step()
            optimizer.step()
    return monitor._observations[-1].leftover


def test_gradients_that_nobody_clears_are_found():
    model = mlp()
    assert leftover(model, lambda *_: None) == ["0", "2", "4", "6"]
    assert leftover(mlp(), lambda *_: None, steps=1) == []


def test_gradients_may_be_cleared_in_any_way_and_at_any_time():
    for place in ("forward", "backward"):
        for to_none in (True, False):
            clear = lambda opt, at, p=place, n=to_none: opt.zero_grad(set_to_none=n) if at == p else None
            assert leftover(mlp(), clear) == []


def test_accumulation_within_a_step_is_no_fault():
    model = mlp()
    with watch(model, every=1) as monitor:
        for _ in range(2):
            model.zero_grad()
            for seed in range(3):
                backpropagate(model, *batch(seed=seed))
            monitor.step()
            assert monitor._observations[-1].leftover == []


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.critic = mlp(classes=16), mlp(classes=1)


def test_what_a_generator_s_loss_leaves_in_the_critic_is_cleared_in_time():
    """Its gradients lie there when the generator's pass begins, and are thrown away before the critic's own."""
    pair, (x, _) = Pair(), batch()
    with watch(pair, every=1) as monitor:
        for _ in range(3):
            pair.generator.zero_grad()
            pair.critic(pair.generator(x)).mean().backward()
            pair.critic.zero_grad()
            (pair.critic(x) - pair.critic(pair.generator(x).detach())).mean().backward()
            monitor.step()
            assert monitor._observations[-1].leftover == []


def test_an_old_gradient_that_gets_nothing_new_does_not_count():
    """As of a part that is trained in other steps."""
    pair, (x, _) = Pair(), batch()
    with watch(pair, every=1) as monitor:
        for _ in range(2):
            pair.critic.zero_grad()
            pair.critic(pair.generator(x).detach()).mean().backward()
            monitor.step()
        pair.generator.zero_grad()
        pair.generator(x).mean().backward()
        monitor.step()
        assert monitor._observations[-1].leftover == []


def test_what_is_frozen_is_not_looked_at():
    model = mlp()
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    assert leftover(model, lambda *_: None) == ["2", "4", "6"]


def test_only_one_parameter_of_a_layer_is_looked_at():
    model = mlp()
    listener = Listener(model, everything=False)
    listener.listen()
    assert [p.shape for p in listener._samples.values()] == 3 * [(16,)] + [(5,)]
    listener.close()
