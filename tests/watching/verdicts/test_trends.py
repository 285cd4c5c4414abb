"""Verdicts by the fall, on networks whose fall is known and on profiles by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from watched import chain
from zoo import findings, he, loss, mlp

from vgexp.watching.checkup import diagnose
from vgexp.watching.verdicts.diagnosis import conclude
from vgexp.watching.verdicts.evidence import Evidence

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")


def test_gradients_that_underflow_are_vanishing_and_not_dead():
    seen = findings("sigmoid 100, underflows")
    assert [finding.kind for finding in seen] == ["vanishing"]
    assert "underflows to 0" in seen[0].evidence and len(seen[0].layers) == 101


def test_gradients_that_overflow_are_exploding():
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Sequential(module, Steep(1e6)) for module in mlp(40, 64, nn.Identity, he)))
    x, y = torch.randn(64, 64), torch.randint(10, (64,))
    diagnosis = diagnose(model, (x, y), loss)
    assert diagnosis.verdict == "exploding" and "overflows" in diagnosis.findings[0].evidence


class Steep(nn.Module):
    """The identity forward, times a number backward."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x.detach() + self.factor * (x - x.detach())


@pytest.mark.parametrize(
    ("decades", "verdict"), [(0.0, "healthy"), (1.4, "healthy"), (1.7, "undecided"), (2.5, "vanishing")]
)
def test_the_rule_on_exact_profiles(decades, verdict):
    for sign, other in ((1, verdict), (-1, {"vanishing": "exploding"}.get(verdict, verdict))):
        rows = chain([sign * decades * i / 9 for i in range(10)], dw_rms=1.0)
        diagnosis = conclude([Evidence(0, rows, {}, {}, [])])
        assert diagnosis.verdict == other and bool(diagnosis.findings) is (abs(decades) > 2)


@pytest.mark.parametrize(
    ("decades", "said"),
    [
        (2.5, "6 learned by SGD with momentum and all"),
        (3.5, "3 learned by SGD with momentum and 8"),
        (5.0, "none learned by SGD with momentum"),
        (7.0, "2 by"),
    ],
)
def test_severity_is_what_training_did(decades, said):
    finding = conclude([Evidence(0, chain([-decades + i * decades / 9 for i in range(10)]), {}, {}, [])]).findings[0]
    assert said in finding.evidence and f"a factor {10 ** (-decades / 9):.3g} a layer" in finding.evidence


def test_a_cliff_is_named_with_what_lies_there():
    rows = chain([-5.0, -5.0, 0.0, 0.0])
    rows[1]["operations"] = ["NativeGroupNorm", "LeakyRelu"]
    (finding,) = conclude([Evidence(0, rows, {}, {}, [])]).findings
    assert (finding.kind, finding.layers) == ("cliff", ["l2", "l1"])
    assert "loses 5 decades between two neighbours, from 1 at l2" in finding.evidence
    assert "between them: NativeGroupNorm, LeakyRelu" in finding.evidence
    assert finding.remedy.startswith("look at the norm there") and "between l1 and l2" in finding.remedies[-1].words


def test_one_branch_and_time_are_said_where_the_rest_is_well():
    rows = chain([0.0] * 7)
    rows.append({**rows[0], "index": 9, "name": "side", "dz_norm": 1e-6, "depth": 5, "above": [2]})
    (finding,) = conclude([Evidence(0, rows, {}, {}, [])]).findings
    assert finding.layers == ["side"] and finding.evidence.startswith("in one branch the gradient falls by 6 decades")
    rows = chain([0.0] * 8)
    for t, row in enumerate(rows[1:6]):
        row |= {"name": "cell", "call": t, "dz_norm": 10.0 ** (-2 * (4 - t))}
    rows[1]["above"], rows[0]["above"] = [2, 6], [6]
    (finding,) = conclude([Evidence(0, rows, {}, {}, [])]).findings
    assert finding.layers == ["cell"] and finding.evidence.startswith("through time the gradient falls by 8 decades")


def test_a_token_of_zeros_under_a_norm_explodes_at_one_place():
    class Tokens(nn.Module):
        """A learned token of zeros before the others, as some image transformers start it."""

        def __init__(self):
            super().__init__()
            self.token, self.patch = nn.Parameter(torch.zeros(1, 1, 16)), nn.Linear(16, 16)

        def forward(self, x):
            return torch.cat([self.token.expand(len(x), 1, -1), self.patch(x)], 1)

    torch.manual_seed(0)
    model = nn.Sequential(Tokens(), nn.LayerNorm(16, eps=1e-12), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4))
    batch = torch.randn(8, 5, 16), torch.randn(8, 6, 4)
    (finding,) = diagnose(model, batch, F.mse_loss).findings
    assert finding.kind == "exploding" and finding.layers == ["0"]
    assert finding.evidence.startswith("at one place the gradient is")


def test_norms_in_evaluation_mode_are_named_first():
    torch.manual_seed(0)
    model = mlp(12, 64, nn.ReLU, norm=nn.BatchNorm1d).eval()
    (finding, *_) = diagnose(model, (torch.randn(64, 64), torch.randint(10, (64,))), F.cross_entropy).findings
    assert finding.kind == "vanishing" and finding.remedy.startswith("12 norms over the batch are in evaluation mode")


def test_a_loss_of_exactly_0_is_no_fault():
    torch.manual_seed(0)
    model = mlp(2, 16, nn.Tanh)
    diagnosis = diagnose(model, (torch.randn(8, 16), None), lambda output, _: (output - 100).relu().sum())
    assert diagnosis.verdict == "healthy" and "the loss is exactly 0" in diagnosis.notes[0]
