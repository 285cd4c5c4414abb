import pytest
import torch
from samples import small

from vgexp.config.errors import ConfigError
from vgexp.networks.building import blueprints, build, require_buildable
from vgexp.networks.family import Pass


def highway(**changes):
    return small(model__family="highway", **changes)


def test_parts():
    keys = [part.key for part in blueprints(highway(), 64, 10)]
    assert keys == [(1, ""), (2, ""), (2, "gate"), (3, ""), (3, "gate"), (4, "")]


@pytest.mark.parametrize(("gate_bias", "passed"), [(-40.0, 0), (40.0, 1)])
def test_a_gate_chooses_between_what_is_made_and_what_was_there(gate_bias, passed):
    network = build([highway(model__gate_bias=gate_bias)], 64, 10, torch.device("cpu"))
    network.parts[2, "gate"].tensors["weight"].detach().zero_()
    state = torch.randn(1, 5, 12, dtype=torch.float64)
    weight, bias = (tensor.detach() for tensor in network.parts[2, ""].tensors.values())
    made = torch.tanh(state @ weight + bias)
    before = (state, made)
    after = network.family.block(Pass(network, 5), 2, (state,))[0]
    torch.testing.assert_close(after, before[passed])


def test_the_gate_s_bias_starts_where_it_is_told():
    biases = build([highway(model__gate_bias=-3.0, init__sigma_b=0.1)], 64, 10, torch.device("cpu")).parts
    assert float(biases[2, "gate"].tensors["bias"].mean()) == pytest.approx(-3.0, abs=0.15)
    assert float(biases[2, ""].tensors["bias"].mean()) == pytest.approx(0.0, abs=0.15)


def test_states_have_one_width():
    with pytest.raises(ConfigError, match=r"model.width: .* mix states of one width"):
        require_buildable(highway(model__width=[12, 12, 13]))
