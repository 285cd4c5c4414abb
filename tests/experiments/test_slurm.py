import copy

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from vgexp.config import ConfigError
from vgexp.experiments.compose import composer
from vgexp.experiments.slurm import PLUGIN, warn_of_silence

SLURM = OmegaConf.create({"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"})


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program of a few lines of sh on the PATH, which is otherwise empty but for sh itself."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def put(name, lines):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)

    return put


@pytest.mark.parametrize("launcher", ["slurm", "submitit_slurm"])
def test_without_slurm_its_launchers_are_refused_before_anything_starts(launcher, program):
    with composer(launched=True) as compose:
        with pytest.raises(ConfigError, match=r"^hydra/launcher: got 'slurm', accepts .* no SLURM \(no srun\)$"):
            compose([f"hydra/launcher={launcher}"])
        program("srun", "")
        compose([f"hydra/launcher={launcher}"])


def test_elsewhere_nobody_asks_for_slurm(program):
    with composer(launched=True) as compose:
        compose(["hydra/launcher=submitit_local"])
    with composer() as compose:  # a worker, or who runs in this process
        compose(["hydra/launcher=slurm"])


@pytest.mark.parametrize("launcher", ["slurm", *PLUGIN])
def test_without_the_plugin_the_extra_is_named(launcher, monkeypatch):
    store = copy.deepcopy(ConfigStore.instance().repo)
    for name in PLUGIN:
        store["hydra"]["launcher"].pop(f"{name}.yaml", None)
    monkeypatch.setattr(ConfigStore.instance(), "repo", store)
    with composer(launched=True) as compose, pytest.raises(ConfigError) as refused:
        compose([f"hydra/launcher={launcher}"])
    assert str(refused.value).startswith("hydra/launcher: got 'submitit_")
    assert str(refused.value).endswith("needs `pip install 'vgexp[slurm]'`")


@pytest.mark.parametrize(
    ("sacct", "said"),
    [
        ("exit 0", ""),
        ("echo x >&2; echo Slurm accounting storage is disabled >&2; exit 1", "(Slurm accounting storage is disabled)"),
        ("exit 1", "(no word)"),
        (None, "No such file or directory: 'sacct'"),
    ],
)
def test_who_could_wait_for_ever_is_warned(sacct, said, program, capsys):
    if sacct is not None:
        program("sacct", sacct)
    warn_of_silence(SLURM)
    warned = capsys.readouterr().err
    assert said in warned and warned.count("\n") == bool(said)


def test_of_other_launchers_sacct_is_not_asked(program, capsys):
    program("sacct", "exit 1")
    warn_of_silence(OmegaConf.create({"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}))
    assert not capsys.readouterr().err
