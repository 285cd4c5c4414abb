from pathlib import Path

import pytest

import vgexp

QUICK = ["data=digits", "model.depth=2", "model.width=8", "steps=2"]


def test_train_ends_with_what_came_out_and_where_it_is(vgexp_command):
    code, out, _ = vgexp_command("train", "-m", *QUICK, "seed=0,1")
    counts, best, second, last = out.splitlines()
    [folder] = Path("results").iterdir()
    errors = sorted(vgexp.read(folder).runs["final_valid_error"])
    assert code == 0 and counts == "2 of 2 runs done, 0 diverged"
    assert best.startswith(f"best validation error {errors[0]:.3g}: ")
    assert second.startswith(f"best validation error {errors[1]:.3g}: ")
    assert last == f"results in {folder}    next: vgexp report {folder}"


@pytest.mark.parametrize("arguments", [[*QUICK], ["-m", *QUICK, "seed=0,1", "model.activation=tanh,relu"]])
def test_a_dry_run_lists_stacks_and_writes_nothing(arguments, vgexp_command):
    code, out, _ = vgexp_command("train", "--dry-run", *arguments)
    assert code == 0 and "0 already done" in out.splitlines()[0]
    assert len(out.splitlines()) == (4 if "-m" in arguments else 3)
    assert not list(Path().iterdir())


def test_a_dry_run_of_a_paper_lists_the_stacks_of_one_grid(vgexp_command):
    command = ["reproduce", "glorot2010", "--scale", "long", "--only", "sigmoid_depth4", "--dry-run", "model.width=8"]
    code, out, _ = vgexp_command(*command)
    first, row, last = out.splitlines()
    assert code == 0 and first == "results/glorot2010/long: 1 run, 0 already done, 1 stack"
    assert "plain sigmoid 4 x 8, shapeset, sgd" in row and "500000 steps" in row and "of updates" in last
    assert not list(Path().iterdir())


def test_a_dry_run_refuses_what_cannot_be_run(vgexp_command):
    code, out, said = vgexp_command("train", "--dry-run", *QUICK, "model.activation=tahn")
    assert (code, out) == (2, "") and "did you mean tanh?" in said
