import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import small

from vgexp.config.fields import Run
from vgexp.experiments.compose import composer
from vgexp.experiments.jobs import Job, received
from vgexp.networks.identity import identity

FOLDER = Path("results/it's größer, = 1")
NUMBERS = st.tuples(
    st.floats(0, 1e300),
    st.none() | st.floats(1e-300, 1e300),
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, "uniform"]),
    st.none() | st.floats(1e-300, 1e300),
    st.integers(0, 10**6),
)


def run_of(numbers):
    lr, sigma_w, seed, distribution, clip, warmup = numbers
    base = Run(steps=10)
    return replace(
        base,
        seed=seed,
        optim=replace(base.optim, lr=lr, clip=clip, warmup=warmup),
        init=replace(base.init, sigma_w=sigma_w, distribution=distribution),
    )


def composed(overrides):
    with composer() as compose:
        return compose(overrides)


@pytest.fixture
def planned():
    FOLDER.mkdir(parents=True)
    (FOLDER / "plan.json").write_text("{}")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(NUMBERS, min_size=1, max_size=3))
def test_the_members_of_a_job_come_back_from_its_file(numbers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("a folder, ü") / "results/it's = 1"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{}")
    runs = list({identity(run): run for run in map(run_of, numbers)}.values())
    back = received(composed(Job(["steps=10"], runs).handed(folder)))
    assert [(run.seed, run.optim, run.init, run.steps) for run in back] == [
        (run.seed, run.optim, run.init, run.steps) for run in runs
    ]


def test_a_launcher_is_given_no_more_for_a_thousand_members_than_for_one(planned):
    runs = [Run(seed=seed) for seed in range(1000)]
    few, many = Job([], runs[:1]).handed(FOLDER), Job([], runs).handed(FOLDER)
    assert len("".join(many)) == len("".join(few)) < 300


def test_a_job_whose_file_is_gone_has_nothing_to_do(planned):
    config = composed(Job([], [Run()]).handed(FOLDER))
    Path(config.members).unlink()
    assert received(config) == []


def test_a_worker_that_does_not_see_the_results_says_so(planned):
    config = composed(Job([], [Run()]).handed(FOLDER))
    (FOLDER / "plan.json").unlink()
    with pytest.raises(RuntimeError, match=r"no plan.json on .*: workers need to share the results folder"):
        received(config)


def test_a_worker_that_makes_other_runs_of_the_same_config_says_so(planned):
    run = small()
    config = composed(Job([], [run]).handed(FOLDER))  # without the overrides that make it small
    with pytest.raises(
        RuntimeError, match=f"run {identity(run)} is {identity(Run(seed=run.seed))} on .* another vgexp"
    ):
        received(config)


@pytest.mark.parametrize("content", ["", "[1", json.dumps([1]), "{}"])
def test_a_file_that_is_no_job(planned, content):
    config = composed(Job([], [Run()]).handed(FOLDER))
    Path(config.members).write_text(content)
    with pytest.raises(RuntimeError, match="no members of a stack"):
        received(config)
