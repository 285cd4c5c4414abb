import torch

from vgexp.watching.tracing.zeros import first_zero


def test_the_first_operation_that_hands_on_zeros():
    x = torch.ones(3, requires_grad=True)
    assert first_zero((torch.tanh(x) * 2 - 100).relu().exp().sum()) == "Relu"
    assert first_zero((x * 2).sum()) == ""
    assert first_zero((x.round() + x).sum()) == "Round"


def test_the_first_of_two_in_a_row_is_named_but_not_beyond_weights():
    layer, x = torch.nn.Linear(3, 3), torch.ones(2, 3)
    assert first_zero((layer(x) - 50).clamp(-1, 1).relu().sum()) == "Clamp"
    assert first_zero(((layer(x) - 50).clamp(max=-90) * 2).flatten().relu().sum()) == "Clamp"
    assert first_zero((layer(x) - 50).relu().exp().clamp(5, 6).sum()) == "Relu"
    assert first_zero(layer((layer(x) - 50).relu()).clamp(50, 60).sum()) == "Clamp"
    z = layer(x)
    assert first_zero(((z - 50).relu() + z.round()).relu().sum()) in ("Relu", "Round")


def test_a_norm_that_puts_out_its_shift_alone():
    x = torch.randn(5, 1, requires_grad=True)
    for norm in (torch.nn.LayerNorm(1), torch.nn.LayerNorm(1, elementwise_affine=False)):
        assert first_zero(norm(2 * x).exp().sum()) == "NativeLayerNorm"
    one = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(1, 3))
    torch.nn.init.ones_(one.parametrizations.weight.original1)  # a direction in one dimension, with a gradient of 0
    assert first_zero(one(x).exp().sum()) == ""
    assert first_zero(torch.nn.LayerNorm(3)(torch.randn(5, 3, requires_grad=True)).exp().sum()) == ""
