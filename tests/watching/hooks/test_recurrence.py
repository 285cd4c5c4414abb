"""Against torch.autograd.grad of the same loss, in float64."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint
from watched import hooks

from vgexp.watching.monitor import watch

KINDS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}


class Reader(nn.Module):
    """A layer, a recurrent one that runs over its output, and a head for what `read` takes of that."""

    def __init__(self, kind, read, **options):
        super().__init__()
        torch.manual_seed(0)
        self.inp, self.rnn = nn.Linear(3, 4), kind(4, 5, **options)
        self.head, self.read = nn.Linear(5 * (1 + self.rnn.bidirectional), 2), read
        self.double()

    def forward(self, x):
        self.entered = self.inp(x)
        return self.head(self.read(self.rnn(self.entered)[0]))


def last(output_TBN):
    return output_TBN[-1]


def mean(output_TBN):
    return output_TBN.mean(0)


def loss(output):
    return (output - 0.5).square().sum()


def profile_of(model, x, time_axis=0):
    """The monitor's profile, and that of autograd."""
    output = model(x)
    (dx,) = torch.autograd.grad(loss(output), model.entered)
    other = tuple(axis for axis in range(dx.ndim) if axis != time_axis)
    with watch(model) as monitor:
        loss(model(x)).backward()
        monitor.step()
    (profile,) = monitor._observations[-1].times
    assert profile.layer.name == "rnn" and profile.call == 0
    return profile.dx_T, dx.norm(dim=other).tolist()


@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bidirectional": True}, {"bias": False}], ids=str)
@pytest.mark.parametrize("read", [last, mean])
@pytest.mark.parametrize("kind", KINDS)
def test_the_norm_is_that_of_the_input_at_each_step(kind, read, options):
    measured, expected = profile_of(Reader(KINDS[kind], read, **options), torch.randn(7, 6, 3, dtype=torch.float64))
    assert measured == pytest.approx(expected, rel=1e-12) and len(measured) == 7


@pytest.mark.parametrize("kind", KINDS)
def test_the_batch_may_come_first_or_not_at_all(kind):
    x = torch.randn(6, 7, 3, dtype=torch.float64)
    measured, expected = profile_of(Reader(KINDS[kind], lambda out: out[:, -1], batch_first=True), x, time_axis=1)
    assert measured == pytest.approx(expected, rel=1e-12) and len(measured) == 7
    for batch_first in (True, False):
        measured, expected = profile_of(Reader(KINDS[kind], last, batch_first=batch_first), x[0])
        assert measured == pytest.approx(expected, rel=1e-12) and len(measured) == 7


@pytest.mark.parametrize("ordered", [True, False])
def test_packed_sequences(ordered):
    lengths = torch.tensor([7, 5, 5, 1] if ordered else [5, 1, 7, 5])

    class Packed(Reader):
        def forward(self, x):
            self.entered = self.inp(x)
            packed = pack_padded_sequence(self.entered, lengths, enforce_sorted=ordered)
            return self.head(pad_packed_sequence(self.rnn(packed)[0])[0].sum(0))

    measured, expected = profile_of(Packed(nn.LSTM, None), torch.randn(7, 4, 3, dtype=torch.float64))
    assert measured == pytest.approx(expected, rel=1e-12)


def test_an_input_by_keyword_and_several_calls():
    class Twice(Reader):
        def forward(self, x):
            x = self.inp(x)
            return self.head(self.rnn(input=x)[0][-1] + self.rnn(x.flip(0))[0].mean(0))

    model = Twice(nn.GRU, None)
    with watch(model) as monitor:
        loss(model(torch.randn(7, 4, 3, dtype=torch.float64))).backward()
        monitor.step()
    first, second = monitor._observations[-1].times
    assert (first.call, second.call) == (0, 1)
    assert first.dx_T[0] < first.dx_T[-1] and second.dx_T[0] > 0.1 * max(second.dx_T)


def test_passes_that_are_not_the_loss_s_are_left_out_and_several_are_pooled():
    model, x = Reader(nn.RNN, last), torch.randn(7, 4, 3, dtype=torch.float64)
    _, expected = profile_of(model, x)
    model.zero_grad()
    with watch(model) as monitor:
        output = model(x)
        torch.autograd.grad(1e6 * output.sum(), model.entered, retain_graph=True)
        loss(output).backward(retain_graph=True)
        loss(output).backward()
        monitor.step()
    assert monitor._observations[-1].times[0].dx_T == pytest.approx([2**0.5 * number for number in expected])


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints(reentrant):
    class Checkpointed(Reader):
        def forward(self, x):
            self.entered = self.inp(x)
            return self.head(self.read(checkpoint(self.rnn, self.entered, use_reentrant=reentrant)[0]))

    model, x = Checkpointed(nn.LSTM, last), torch.randn(7, 4, 3, dtype=torch.float64)
    _, expected = profile_of(Reader(nn.LSTM, last), x)
    with watch(model) as monitor:
        loss(model(x)).backward()
        monitor.step()
    assert monitor._observations[-1].times[0].dx_T == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_bitwise_the_same(kind):
    weights = []
    for watched in (True, False):
        model = Reader(KINDS[kind], last, bidirectional=True).float()
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        monitor = watch(model, every=1) if watched else None
        torch.manual_seed(1)
        for _ in range(5):
            optimizer.zero_grad()
            loss(model(torch.randn(7, 4, 3))).backward()
            if monitor:
                monitor.step()
            optimizer.step()
        if monitor:
            monitor.close()
        assert hooks(model) == 0
        weights.append([p.detach().clone() for p in model.parameters()])
    assert all(map(torch.equal, *weights))


def test_norms_do_not_underflow():
    model = Reader(nn.RNN, last).float()
    with torch.no_grad():
        model.rnn.weight_hh_l0 *= 1e-3
    with watch(model) as monitor:
        loss(model(torch.randn(10, 4, 3))).backward()
        monitor.step()
    dx_T = monitor._observations[-1].times[0].dx_T
    assert 0 < dx_T[0] < 1e-24 < dx_T[-1]


def test_an_input_without_a_gradient_is_said_to_be():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(3, 4)

        def forward(self, x):
            return self.rnn(x)[0][-1]

    model, x = Bare(), torch.randn(6, 5, 3)
    with watch(model) as monitor:
        loss(model(x)).backward()
        monitor.step()
    assert monitor._observations[-1].times == [] and not x.requires_grad
    assert monitor.diagnosis().notes == ["time is not measured: the input of rnn requires no gradient"]
    model.requires_grad_(False)
    with watch(model) as monitor:
        loss(model(x.requires_grad_())).backward()
        monitor.step()
    assert len(monitor._observations[-1].times[0].dx_T) == 6


def test_a_pass_without_a_graph_leaves_nothing():
    model = Reader(nn.GRU, last)
    with watch(model) as monitor:
        with torch.no_grad():
            model(torch.randn(7, 4, 3, dtype=torch.float64))
        assert monitor._listener.recurrence._passages == monitor._listener.recurrence.unmeasured == []


def test_other_models_get_no_hook_for_it():
    model = nn.Sequential(nn.Linear(3, 3), nn.LSTMCell(3, 3))
    with watch(model) as monitor:
        assert monitor._listener.recurrence.layers == []
        assert all(not module._forward_pre_hooks for module in (model[0], model[1]))


def test_scalers():
    model, x = Reader(nn.RNN, last).float(), torch.randn(7, 4, 3)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with watch(model) as monitor:
        loss(model(x)).backward()
        monitor.step()
    plain = monitor._observations[-1].times[0].dx_T
    model.zero_grad()
    with watch(model, scaler=scaler) as monitor:
        scaler.scale(loss(model(x))).backward()
        monitor.step()
    assert monitor._observations[-1].times[0].dx_T == pytest.approx(plain, rel=1e-5)


LENGTHS = torch.tensor([7, 2, 5, 1])


class LastState(Reader):
    """Reads each example's last state: from a packed sequence, or from where it ends in a padded one."""

    def __init__(self, kind, packed):
        super().__init__(kind, None)
        self.packed = packed

    def forward(self, x):
        self.entered = self.inp(x)
        if not self.packed:
            return self.head(self.rnn(self.entered)[0][LENGTHS - 1, torch.arange(4)])
        _, state = self.rnn(pack_padded_sequence(self.entered, LENGTHS, enforce_sorted=False))
        return self.head((state[0] if isinstance(state, tuple) else state)[-1])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_examples_of_different_lengths_are_compared_from_their_ends(kind, packed):
    model, x = LastState(KINDS[kind], packed), torch.randn(7, 4, 3, dtype=torch.float64)
    measured, expected = profile_of(model, x)
    assert measured == pytest.approx(expected, rel=1e-12)
    (dx,) = torch.autograd.grad(loss(model(x)), model.entered)
    ending = [
        sum(float(dx[n - 1 - back, i].square().sum()) for i, n in enumerate(LENGTHS.tolist()) if n > back) ** 0.5
        for back in range(6, -1, -1)
    ]
    with watch(model) as monitor:
        loss(model(x)).backward()
        monitor.step()
    (profile,) = monitor._observations[-1].times
    assert profile.ending_T == pytest.approx(ending, rel=1e-12)


def test_where_all_end_together_or_it_runs_both_ways_nothing_is_moved():
    for model in (Reader(nn.LSTM, last), Reader(nn.LSTM, mean), Reader(nn.LSTM, last, bidirectional=True)):
        with watch(model) as monitor:
            loss(model(torch.randn(7, 4, 3, dtype=torch.float64))).backward()
            monitor.step()
        assert not monitor._observations[-1].times[0].ending_T
