import copy
import socket
import sys

import joblib
import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from hydra_plugins.ray_launcher import RayLauncher
from vgexp.config.errors import ConfigError
from vgexp.experiments.compose import composer
from vgexp.experiments.launchers import RAY, RAY_FIELDS, at_once, check_launcher, cluster_address


@pytest.fixture
def ray(monkeypatch):
    """The fields of Ray's launcher, with others in their place; Ray itself need not be there, nor is it asked."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    defaults = {key: setting.default for key, setting in RAY_FIELDS.items()}
    return lambda **others: OmegaConf.create({"_target_": RAY, **defaults, **others})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_cpus": "x"}, "hydra.launcher.num_cpus: got 'x', accepts an integer of at least 1"),
        ({"num_cpus": 0}, "hydra.launcher.num_cpus: got 0, accepts an integer of at least 1"),
        ({"num_cpus": None}, "hydra.launcher.num_cpus: got None, accepts an integer of at least 1"),
        ({"num_cpus": 9}, "hydra.launcher.num_cpus: got 9, accepts at most 8, with address=local"),
        ({"num_gpus": 1.5}, "hydra.launcher.num_gpus: got 1.5, accepts 0, a share of one GPU, or an integer"),
        ({"num_gpus": -1}, "hydra.launcher.num_gpus: got -1, accepts 0"),
        ({"num_gpus": float("nan")}, "hydra.launcher.num_gpus: got nan, accepts 0"),
        ({"num_gpus": True}, "hydra.launcher.num_gpus: got True, accepts 0"),
        ({"n_jobs": 2}, "hydra.launcher.n_jobs: got 2, accepts only fields of the launcher: address, num_cpus"),
        ({"address": "ray://x:1"}, "hydra.launcher.address: got 'ray://x:1', accepts local, auto, or host:port"),
        ({"address": ""}, "hydra.launcher.address: got '', accepts local, auto, or host:port"),
        ({"address": "127.0.0.1:99999"}, "hydra.launcher.address: got '127.0.0.1:99999', .* none answers"),
    ],
)
def test_what_is_wrong_with_the_fields_of_ray(fields, message, ray):
    with pytest.raises(ConfigError, match=f"^{message}"):
        check_launcher(ray(**fields))


@pytest.mark.parametrize("n_jobs", [0, 2000, -2000, "x", 1.5, True])
def test_how_many_jobs_joblib_may_run_at_once(n_jobs):
    for good in (1, -1, None):
        check_launcher(OmegaConf.create({"_target_": "joblib", "n_jobs": good}))
    with pytest.raises(ConfigError, match=r"hydra.launcher.n_jobs: got .*, accepts jobs at once, at most 1024"):
        check_launcher(OmegaConf.create({"_target_": "joblib", "n_jobs": n_jobs}))


def test_a_cluster_is_there_or_is_asked_for_in_vain(ray):
    with socket.create_server(("127.0.0.1", 0)) as cluster:
        address = f"127.0.0.1:{cluster.getsockname()[1]}"
        check_launcher(ray(address=address, num_cpus=64))
        assert cluster_address(address) == address
    with pytest.raises(ConfigError, match=f"hydra.launcher.address: got '{address}', .* none answers"):
        check_launcher(ray(address=address))


def test_without_its_extra_ray_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with composer(launched=True) as compose, pytest.raises(ConfigError, match=r"hydra/launcher: .* 'vgexp\[ray\]'"):
        compose(["hydra/launcher=ray"])
    with composer() as compose:  # a worker, or who runs in this process, is not asked
        compose(["hydra/launcher=ray"])


@pytest.mark.parametrize(
    ("fields", "jobs"),
    [({}, 8), ({"num_cpus": 3}, 2), ({"num_cpus": 8}, 1), ({"num_gpus": 0.25}, 4), ({"num_gpus": 2}, 1)],
)
def test_jobs_of_ray_that_share_a_computer(fields, jobs, ray):
    assert at_once(ray(**fields)) == jobs


def test_the_ray_of_another_plugin_does_not_come_in_its_place(monkeypatch):
    monkeypatch.setattr(ConfigStore.instance(), "repo", copy.deepcopy(ConfigStore.instance().repo))
    theirs = {"_target_": "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher", "ray": {"init": {}}}
    ConfigStore.instance().store(group="hydra/launcher", name="ray", node=theirs, provider="hydra-ray-launcher")
    asked = []
    monkeypatch.setattr("vgexp.experiments.compose.check_launcher", asked.append)
    with composer(launched=True) as compose:
        compose(["hydra/launcher=ray"])
    assert asked[0]._target_ == RAY and "ray" not in asked[0]


@pytest.mark.parametrize(
    ("threads", "cpus", "most"), [(None, 2, "2"), ("1", 2, "1"), ("8", 2, "2"), ("4,2", 3, "3"), ("", 1, "1")]
)
def test_jobs_of_ray_find_the_settings_of_the_command_and_threads_for_their_cpus(threads, cpus, most, monkeypatch):
    monkeypatch.setenv("VGEXP_DATA", "there")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    found = RayLauncher("local", cpus, 0)._environment()
    assert (found["VGEXP_DATA"], found["WANDB_MODE"], found["OMP_NUM_THREADS"]) == ("there", "offline", most)
    assert "WANDB_API_KEY" not in found and "HOME" not in found


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([{"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0}}], ""),
        ([{"Alive": False, "Resources": {"CPU": 8.0, "GPU": 1.0}}], "waiting"),
        ([{"Alive": True, "Resources": {"CPU": 8.0}}, {"Alive": True, "Resources": {"GPU": 1.0}}], "waiting"),
        ([], "vgexp: waiting for a computer that has 4 CPU and 0.5 GPU for a job; Ctrl-C ends the wait"),
    ],
)
def test_a_job_that_no_computer_has_room_for_yet_is_said(nodes, said, capsys):
    RayLauncher("local", 4, 0.5)._say_if_none_fits(nodes)
    assert bool(said) == bool(found := capsys.readouterr().err) and said in found
