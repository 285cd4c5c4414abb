import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vgexp.watching.checkup import diagnose
from vgexp.watching.hooks.layers import Layer
from vgexp.watching.hooks.recurrence import TimeProfile
from vgexp.watching.monitor import watch
from vgexp.watching.verdicts.evidence import Evidence
from vgexp.watching.verdicts.sequences import memory, through_time


def profile(log10_T, name="rnn", call=0, **options):
    module = nn.LSTM(3, 4, **options)
    return TimeProfile(Layer(name, module, []), call, [10.0**x for x in log10_T])


def findings(*profiles):
    return through_time(Evidence(0, [], {}, {}, [], times=profiles))


def test_one_way_it_falls_from_the_last_step_to_the_first():
    assert memory(profile([-6, -3, 0])) == (pytest.approx(6), 2, 0, 0)
    assert memory(profile([6, 3, 0])).decades == pytest.approx(-6)
    assert memory(profile([-6, -3, 0, -math.inf])) == (pytest.approx(6), 2, 0, 0)  # padding, which no loss reads
    assert memory(profile([-math.inf, -math.inf, -3, 0])) == (pytest.approx(3), 3, 2, 2)
    assert memory(profile([-1, -math.inf, -3, 0])) == (pytest.approx(1), 3, 0, 0)  # a loss that reads step 1 as well
    assert memory(profile([-math.inf, -1, -math.inf, 0])) == (pytest.approx(1), 3, 1, 1)
    assert memory(profile([0])) is memory(profile([-math.inf, -math.inf])) is None


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_what_is_not_finite_is_neither_0_nor_a_loss(broken):
    for log10_T in ([broken, -3, 0], [-6, broken, 0], [broken, broken, 0]):
        assert memory(profile(log10_T)) is None
    assert memory(profile([-6, -3, 0, broken])) == (pytest.approx(6), 2, 0, 0)  # above all that has a gradient
    assert memory(profile([0, broken, -3, -2, -1], bidirectional=True)) is None
    assert memory(profile([0, -1, -2, broken, -1], bidirectional=True)).decades == pytest.approx(2)
    assert findings(profile([broken, -6, 0]), profile([-6, 0], call=1))[0].evidence.count("rnn, call 1") == 1


def test_both_ways_it_falls_from_an_end_to_the_middle():
    for log10_T in ([0, -3, -6, -4, -1], [-1, -4, -6, -3, 0]):
        assert memory(profile(log10_T, bidirectional=True)).decades == pytest.approx(6)
    assert memory(profile([0, -3, -math.inf, -3, 0], bidirectional=True))[1:] == (0, 1, 1)
    for log10_T in ([0, -3, -6, -4, -2, -1], [-1, -2, -4, -6, -3, 0]):
        assert memory(profile(log10_T, bidirectional=True)).decades == pytest.approx(4)  # two are in the middle
    assert memory(profile([0, -1], bidirectional=True)) == (0, 0, 0, 0)


def test_findings_say_where_and_by_how_much():
    (found,) = findings(profile([-6, -3, 0]))
    assert found.kind == "vanishing" and found.layers == ["rnn"]
    assert "through time the gradient falls by 6 decades over the 3 steps of rnn" in found.evidence
    assert "1: 1e-06, 2: 0.001, 3: 1" in found.evidence
    assert "rnn.bias_hh_l0[4:8]" in found.remedy
    (found,) = findings(profile([6, 3, 0]))
    assert found.kind == "exploding" and "clipped" in found.remedy
    (found,) = findings(profile([-math.inf, -1, 0]))
    assert found.kind == "vanishing" and "in 1 beyond it is exactly 0" in found.evidence
    assert findings(profile([-3.9, 0])) == findings() == []


def test_the_worst_call_of_a_layer_is_named():
    (found,) = findings(profile([-5, 0]), profile([-8, 0], call=1), profile([-6, 0], call=2))
    assert "falls by 8 decades" in found.evidence and "rnn, call 1" in found.evidence
    assert len(findings(profile([-5, 0]), profile([-5, 0], name="other"))) == 2


class Fused(nn.Module):
    def __init__(self, cell, kind, scale):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.rnn, self.head = nn.Linear(8, 16), kind(16, 16, batch_first=True), nn.Linear(16, 2)
        with torch.no_grad():
            self.rnn.weight_hh_l0 *= scale

    def forward(self, x):
        return self.head(self.rnn(self.embed(x))[0][:, -1])


class Unrolled(Fused):
    """The same weights in a cell that is called in a loop."""

    def __init__(self, cell, kind, scale):
        super().__init__(cell, kind, scale)
        self.cell = cell(16, 16)
        for name, weight in self.cell.named_parameters():
            weight.data.copy_(getattr(self.rnn, f"{name}_l0"))
        del self.rnn

    def forward(self, x):
        state = None
        for x_t in self.embed(x).unbind(1):
            state = self.cell(x_t, state)
        return self.head(state[0] if isinstance(state, tuple) else state)


CELLS = {"LSTM": (nn.LSTMCell, nn.LSTM), "GRU": (nn.GRUCell, nn.GRU), "RNN": (nn.RNNCell, nn.RNN)}


@pytest.mark.parametrize("steps", [3, 40])
@pytest.mark.parametrize("scale", [0.5, 1.0])
@pytest.mark.parametrize("kind", CELLS)
def test_a_fused_layer_and_a_cell_in_a_loop_get_the_same_word(kind, scale, steps):
    """And the same number to a decade: one is read from the inputs, the other from the outputs, a step apart."""
    batch = torch.randn(16, steps, 8), torch.randint(2, (16,))
    time = []
    for make in (Fused, Unrolled):
        found = diagnose(make(*CELLS[kind], scale), batch, F.cross_entropy).findings
        time.append([finding for finding in found if "through time" in finding.evidence])
    (fused, unrolled) = time
    assert [finding.kind for finding in fused] == [finding.kind for finding in unrolled] == ["vanishing"] * (steps > 3)
    for a, b in zip(fused, unrolled, strict=True):
        mine, other = (float(f.evidence.split(" by ")[1].split()[0]) for f in (a, b))
        assert mine == pytest.approx(other, abs=1.0)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_the_advice_improves_what_it_is_for(kind):
    """Applied as it stands: the gate is filled with 1, then 2."""
    batch = torch.randn(16, 40, 8), torch.randint(2, (16,))
    model = Fused(*CELLS[kind], 1.0)
    assert "rnn.bias_hh_l0[16:32]" in diagnose(model, batch, F.cross_entropy).findings[0].remedy
    decades = []
    for bias in (None, 1.0, 2.0):
        if bias is not None:
            model.rnn.bias_hh_l0.data[16:32].fill_(bias)
        (found,) = diagnose(model, batch, F.cross_entropy).times
        decades.append(memory(found).decades)
    assert decades[0] - 2 > decades[1] > decades[2] + 1


def test_diagnose_measures_time_whatever_the_input_requires():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.rnn = nn.LSTM(8, 16, batch_first=True)

        def forward(self, x):
            return self.rnn(x)[0][:, -1, :2]

    model, batch = Bare(), (torch.randn(16, 60, 8), torch.randint(2, (16,)))
    diagnosis = diagnose(model, batch, F.cross_entropy)
    assert diagnosis.verdict == "vanishing" and diagnosis.notes == [] and not batch[0].requires_grad
    (time,) = diagnosis.to_dict()["times"]
    x = batch[0].double().requires_grad_()
    (dx,) = torch.autograd.grad(F.cross_entropy(model.double()(x), batch[1]), x)
    assert time["dx_norm"] == pytest.approx(dx.norm(dim=(0, 2)).tolist(), rel=1e-3)


def test_what_reads_all_steps_has_no_finding():
    class Mean(Fused):
        def forward(self, x):
            return self.head(self.rnn(self.embed(x))[0].mean(1))

    model = Mean(nn.LSTMCell, nn.LSTM, 1.0)
    with watch(model) as monitor:
        F.cross_entropy(model(torch.randn(16, 100, 8)), torch.randint(2, (16,))).backward()
        monitor.step()
    assert monitor.diagnosis().findings == []


def test_examples_that_end_at_different_steps_are_judged_from_their_ends():
    """One long example and many short ones: counted by time, the short ones hide what the long one loses."""
    layer = profile([0]).layer
    absolute, ending = [1.0, 1.0, 1e-3, 1.0], [1e-9, 1e-6, 1e-3, 1.0]
    assert findings(TimeProfile(layer, 0, absolute)) == []
    (found,) = findings(TimeProfile(layer, 0, absolute, ending))
    assert found.kind == "vanishing" and "falls by 9 decades" in found.evidence
    assert "examples end at different steps and are counted from there" in found.evidence
