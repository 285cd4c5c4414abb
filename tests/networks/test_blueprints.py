import pytest
import torch
from samples import small

from vgexp.config.fields import InitConfig
from vgexp.networks.blueprints import Blueprint, assemble, law, widths
from vgexp.networks.initializers import weights
from vgexp.networks.parts import Matrix, Vector
from vgexp.numerics.seeds import generator

HE = InitConfig(name="he", sigma_b=0.5)


def test_the_only_matrix_of_a_layer_is_drawn_as_it_always_was():
    """From the stream of its seed and layer: weights first, then biases."""
    draw = generator("weights", 3, 2)
    weight_IO, bias_O = Blueprint(2, "", 7, 5, HE).draw(3)
    assert torch.equal(weight_IO, weights("he", 7, 5, draw))
    assert torch.equal(bias_O, 0.5 * torch.randn(5, generator=draw, dtype=torch.float64))


def test_parts_of_one_layer_are_drawn_apart():
    drawn = [Blueprint(2, name, 7, 5, HE).draw(0)[0] for name in ("", "inner", "gate")]
    again = Blueprint(2, "inner", 7, 5, HE).draw(0)[0]
    assert torch.equal(drawn[1], again)
    assert not any(torch.equal(drawn[i], drawn[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_vectors_start_as_their_number():
    weight_1N, bias = Blueprint(2, "gain", 1, 4, 0.7).draw(0)
    assert weight_1N.tolist() == [[0.7] * 4] and bias is None


def test_entries_and_gains():
    matrix, vector = Blueprint(1, "", 7, 5, HE), Blueprint(1, "gain", 1, 4, 1.0)
    assert (matrix.entries, vector.entries) == (8 * 5, 4)
    assert matrix.gains == pytest.approx((2.0, 2.0 * 5 / 7))  # fan_in and fan_out times 2 / fan_in


def test_scope_hidden_leaves_the_ends_standard():
    run = small(init__name="he", init__sigma_b=0.2, init__scope="hidden")
    assert [law(run, layer).name for layer in (1, 2, 3, 4)] == ["standard", "he", "he", "standard"]
    assert law(run, 1).sigma_b == 0.2
    assert law(small(init__name="he"), 1).name == "he"


def test_widths_by_layer():
    assert widths(small()) == [12, 12, 12]
    assert widths(small(model__width=[4, 5, 6])) == [4, 5, 6]


def test_members_keep_their_laws_and_rates():
    members = [
        [Blueprint(1, "", 7, 5, HE, rate, bias_rate), Blueprint(1, "gain", 1, 4, start)]
        for rate, bias_rate, start in ((1, None, 0), (2, 0.5, 3))
    ]
    matrix, vector = assemble(members, [0, 1], torch.float64, "cpu")
    assert isinstance(matrix, Matrix) and isinstance(vector, Vector)
    assert torch.equal(matrix.weight_MIO[1].detach(), Blueprint(1, "", 7, 5, HE).draw(1)[0])
    rates = {name: rate_M11.flatten().tolist() for name, rate_M11 in matrix.rates_M11.items()}
    assert rates == {"weight": [1.0, 2.0], "bias": [1.0, 0.5]}
    assert vector.weight_M1N.detach()[:, 0, 0].tolist() == [0.0, 3.0]


def test_without_seeds_there_are_shapes_alone():
    (matrix,) = assemble([[Blueprint(1, "", 7, 5, HE)]], None, torch.float32, "meta")
    assert matrix.tensors["weight"].is_meta and matrix.tensors["weight"].shape == (1, 7, 5)
