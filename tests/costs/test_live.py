import gc

import pytest
import torch
from torch import nn

from vgexp.costs.live import LiveBytes


def test_storages_count_from_their_making_to_their_end():
    x = torch.ones(100)
    with LiveBytes([x]) as live:
        y = x * 2  # 400 bytes
        z = y.view(10, 10)  # the same storage
        assert live.live == 400
        w = y + 1
        assert live.live == 800
        del y
        assert live.live == 800  # z still holds it
        del z
        assert live.live == 400
        x.add_(1)  # in place, on a storage that was there before
        assert live.live == 400
        del w
    assert (live.live, live.peak) == (0, 800)
    assert live.timeline == [0, 400, 800, 400, 0]


def test_what_was_made_inside_counts_until_it_is_gone():
    with LiveBytes() as live:
        y = torch.ones(10)
    assert live.live == 40
    del y
    assert live.live == 0


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_step_of_an_mlp_against_torchs_own_tracker(device):
    """Peak of activations, gradients and temporaries, parameters and their gradients apart."""
    from torch.distributed._tools.mem_tracker import MemTracker

    def step(model, x):
        model(x).sum().backward()

    def network():
        layers = [layer for _ in range(6) for layer in (nn.Linear(32, 32), nn.Tanh())]
        return nn.Sequential(*layers).to(device), torch.zeros(64, 32, device=device)

    model, x = network()
    step(model, x)  # makes the parameters' gradients, which then stay
    known = [x, *model.parameters(), *(p.grad for p in model.parameters())]
    gc.collect()
    with LiveBytes(known) as live:
        step(model, x)
    tracker = MemTracker()
    tracker.track_external(model, x)
    with tracker:
        step(model, x)
    snapshot = tracker.get_tracker_snapshot("peak")[torch.device(device)]
    kept = sum(t.untyped_storage().nbytes() for t in known)
    assert live.peak == snapshot["Total"] - kept
    assert live.peak > 6 * 64 * 32 * 4
