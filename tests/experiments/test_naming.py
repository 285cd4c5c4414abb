import re
from pathlib import Path

import pytest

import vgexp
from vgexp.config import Run
from vgexp.experiments.compose import composer
from vgexp.experiments.naming import automatic_name
from vgexp.experiments.sweep import folder_of, grids

QUICK = ("data=digits", "model.depth=2", "model.width=8", "steps=0")


def named(*overrides):
    """The name of a sweep, which all its runs and jobs have."""
    with composer() as compose:
        found = grids(list(overrides), compose)
    planned = [each for grid in found.values() for each in grid.runs]
    [name] = {run.name for _, run in planned}
    assert all(f"name={name}" in job for job, _ in planned) or any(text.startswith("name=") for text in overrides)
    return name


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.depth=5,10", "model.activation=tanh,relu"], "depth-activation"),
        (["model.depth=5,10", "seed=range(0,5)"], "depth"),
        (["seed=0,1"], "seed"),
        (["init.name=he,glorot", "optim.name=sgd,adam", "seed=0,1"], "init-optim"),
        (["data=digits,shapeset"], "data"),
        (
            ["steps=1,2", "init.sigma_w=1,2", "optim.lr=0.1,1", "model.depth=1,2", "model.width=3,4"],
            "steps-sigma_w-lr-depth",
        ),
        (["experiment=glorot2010", "name=null", "scale=null", "seed=0,1"], "glorot2010-seed"),
        (["experiment=glorot2010", "name=null"], "glorot2010"),
        ([], "tanh-5x1000"),
        (["model.width=[3,4,5,5,5]"], "tanh-5x3to5"),
        (["model.family=residual", "model.activation=relu", "model.width=[7,7,7,7,7]"], "residual-relu-5x7"),
    ],
)
def test_names_say_what_varies_or_what_the_network_is(overrides, words):
    assert re.fullmatch(words + r"-[0-9a-f]{6}", named(*overrides))


def test_the_same_sweep_has_one_name_however_it_is_spelled():
    assert named("seed=0,1", "model.depth=5,10") == named("model.depth=10,5", "seed=range(0,2)")
    assert named("seed=0,1", "optim.lr=1") == named("optim.lr=1.0", "seed=1,0", "rerun=true", "max_members=1")
    assert named() == named("steps=1000") == named("threads=2")


def test_other_sweeps_have_other_names():
    names = [named("seed=0,1"), named("seed=0,2"), named("seed=0,1", "steps=5"), named("seed=0,1,2"), named()]
    assert len(set(names)) == len(names)


def test_a_name_that_was_given_stays():
    assert named("name=mine", "seed=0,1") == "mine"
    with composer() as compose:
        [(_, run)] = grids(
            ["experiment=glorot2010", "scale=smoke", "only=[initial]", "seed=0", "init.name=glorot"], compose
        )["initial"].runs[:1]
    assert folder_of(run) == Path("results/glorot2010/smoke")


def test_a_name_is_one_folder():
    """Whatever an activation from outside is called."""
    run = Run()
    run.model.activation = "../a b/c"
    assert re.fullmatch(r"[\w.-]+", automatic_name([], [run]))


def test_the_same_sweep_finds_its_results_again(capsys):
    vgexp.run(*QUICK, "seed=0,1")
    vgexp.run(*QUICK, "seed=2,3")
    capsys.readouterr()
    assert len(vgexp.run(*QUICK, "seed=range(0,2)").runs) == 2
    assert capsys.readouterr().err == "2 runs, 2 already done\n"
    assert len(list(Path("results").iterdir())) == 2
