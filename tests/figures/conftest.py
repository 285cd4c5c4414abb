import contextlib

import pytest

import vgexp


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two families that train, three seeds."""
    with contextlib.chdir(tmp_path_factory.mktemp("sweep")):
        return vgexp.run(
            *("data=digits", "model.family=plain,residual", "model.depth=4", "model.width=10", "steps=40"),
            *("probe=full", "seed=0,1,2", "model.branch_layers=1"),
        )
