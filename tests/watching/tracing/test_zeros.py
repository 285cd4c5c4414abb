import torch

from vgexp.watching.tracing.zeros import first_zero


def test_the_first_operation_that_hands_on_zeros():
    x = torch.ones(3, requires_grad=True)
    assert first_zero((torch.tanh(x) * 2 - 100).relu().exp().sum()) == "Relu"
    assert first_zero((x * 2).sum()) == ""
    assert first_zero((x.round() + x).sum()) == "Round"
