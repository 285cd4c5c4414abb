"""Live bytes by scaling against those counted at the true sizes."""

import subprocess
import sys

import pytest
from samples import small

from vgexp.costs.scaling import scaled, shadow

NETWORKS = [
    {},
    {"memory": "checkpoint"},
    {"memory": "checkpoint", "checkpoint__every": "revolve(3)"},
    {"model__family": "reversible", "memory": "store"},
    {"model__family": "reversible", "memory": "invert"},
    {"model__family": "residual", "model__branch_layers": 2},
    {"model__family": "residual", "model__placement": "post", "model__norm": "layer", "model__branch": "learned"},
    {"model__family": "highway", "optim__name": "momentum"},
    {"model__norm": "batch", "optim__name": "adam"},
    {"model__activation": "gelu", "loss": "quadratic", "dtype": "float32"},
    {"model__activation": "relu", "loss": "cotangent", "dtype": "float64"},
]

SIZES = [(64, 16, 64, 10), (3, 128, 784, 7), (26, 34, 17, 2), (5, 18, 8, 100), (10, 64, 100, 100)]


@pytest.mark.parametrize("changes", NETWORKS, ids=lambda changes: " ".join(map(str, changes.values())) or "plain")
@pytest.mark.parametrize(("batch", "width", "inputs", "classes"), SIZES)
def test_every_storage_grows_as_its_shape_does(changes, batch, width, inputs, classes):
    run = small(model__depth=9, data__batch_size=batch, model__width=width, **changes)
    assert scaled(run, inputs, classes) == pytest.approx(shadow(run, inputs, classes).live()[0].peak, rel=1e-12)


def test_a_prediction_loads_what_it_needs():
    """Of torch's compiler, which takes as long as torch itself, torch's checkpointing is the only user."""
    code = "import sys, vgexp; str(vgexp.predict('model.width=64')); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"scipy.stats", "scipy.optimize", "matplotlib", "sklearn", "requests"} & set(done.stdout.split())
