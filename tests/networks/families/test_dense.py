import pytest
import torch
from samples import small

from vgexp.config.errors import ConfigError
from vgexp.networks.building import blueprints, build, require_buildable
from vgexp.networks.family import Pass


def dense(**changes):
    return small(model__family="dense", model__growth=5, **changes)


def test_the_state_grows():
    shapes = [(part.key, part.fan_in, part.fan_out) for part in blueprints(dense(model__norm="rms"), 64, 10)]
    assert shapes == [
        ((1, ""), 64, 12),
        ((2, ""), 12, 5),
        ((2, "norm"), 1, 12),
        ((3, ""), 17, 5),
        ((3, "norm"), 1, 17),
        ((4, ""), 22, 10),
        ((4, "norm"), 1, 22),
    ]


def test_a_block_keeps_what_it_was_given():
    network = build([dense()], 64, 10, torch.device("cpu"))
    state = torch.randn(1, 3, 12, dtype=torch.float64)
    (after,) = network.family.block(Pass(network, 3), 2, (state,))
    assert torch.equal(after[..., :12], state) and after.shape == (1, 3, 17)


def test_the_width_is_that_of_the_stem():
    with pytest.raises(ConfigError, match=r"model.width: .* the width of the stem"):
        require_buildable(dense(model__width=[12, 12, 13]))
