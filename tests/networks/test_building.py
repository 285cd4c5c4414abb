import pytest
import torch
from samples import small
from walk import WAYS

from vgexp.config.errors import ConfigError
from vgexp.networks.building import blueprints, build, require_buildable, skeleton, weight_bytes

BUILT = [run for run in WAYS.values() if run.model.family != "gated"]


@pytest.mark.parametrize("run", BUILT)
def test_a_skeleton_has_the_shapes_of_what_is_built(run):
    built, bones = build([run], 64, 10, torch.device("cpu")), skeleton(run, 64, 10)
    assert [part.key for part in blueprints(run, 64, 10)] == list(built.parts) == list(bones.parts)
    for key, part in built.parts.items():
        assert {name: t.shape for name, t in part.tensors.items()} == {
            name: t.shape for name, t in bones.parts[key].tensors.items()
        }
        assert bones.parts[key].tensors["weight"].is_meta


@pytest.mark.parametrize("run", BUILT)
def test_weights_take_the_bytes_that_were_said(run):
    network = build([run], 64, 10, torch.device("cpu"))
    held = sum(tensor.numel() for part in network.parts.values() for tensor in part.tensors.values())
    shapes = {matrix.weight_MIO.shape for matrix in network.matrices}
    assert weight_bytes(run, 64, 10, slots=2) == 8 * (3 * held + sum(shape.numel() for shape in shapes))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (small(memory="invert"), "memory: got 'invert', accepts store or checkpoint; only model.family=reversible"),
        (small(memory="invert", model__family="residual"), "memory: got 'invert'"),
        (small(model__family="reversible", model__width=11), "model.width: got 11, accepts an even integer"),
        (
            small(model__family="reversible", model__width=12, init__name="mup", init__base_width=5),
            "init.base_width: got 5, accepts an even integer",
        ),
        (small(model__family="reversible", model__width=[4] * 3), "model.width: got .*, accepts an even integer"),
        (small(model__family="residual", model__width=[4] * 3), "model.width: got .*, accepts one integer"),
    ],
)
def test_what_cannot_be_built(run, message):
    with pytest.raises(ConfigError, match=message):
        require_buildable(run)


@pytest.mark.parametrize("run", BUILT)
def test_what_can_be_built(run):
    require_buildable(run)
