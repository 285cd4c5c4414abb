"""SLURM: what `hydra/launcher=slurm` needs of the computer that launches, asked before a sweep starts."""

import shutil
import subprocess
import sys

from omegaconf import DictConfig

from vgexp.config import ConfigError

PLUGIN = ("submitit_slurm", "submitit_local")
"""The launchers of hydra-submitit-launcher."""
ANSWER_SECONDS = 30
"""How long SLURM's accounting may take to answer."""


def where_from(launcher: str) -> str:
    """What a list of the launchers that are there goes on with, where this one is not.

    >>> where_from("submitit_slurm")
    "; submitit_slurm needs `pip install 'vgexp[slurm]'`"
    """
    return f"; {launcher} needs `pip install 'vgexp[slurm]'`" if launcher in PLUGIN else ""


def check_slurm(launcher: DictConfig) -> None:
    """Raises ConfigError for the launcher of SLURM on a computer without SLURM."""
    if _launches_there(launcher) and shutil.which("srun") is None:
        raise ConfigError("hydra/launcher", "slurm", "a launcher for this computer, which has no SLURM (no srun)")


def warn_of_silence(launcher: DictConfig) -> None:
    """Says on stderr where SLURM does not tell which jobs have ended: nobody would hear of one that was killed."""
    if not _launches_there(launcher):
        return
    try:
        asked = subprocess.run(["sacct", "--noheader"], capture_output=True, text=True, timeout=ANSWER_SECONDS)
        why = (asked.stderr.splitlines() or ["no word"])[-1] if asked.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why:
        then = "this command would wait for ever for a job that was killed; Ctrl-C, and the same command goes on"
        print(f"vgexp: sacct does not work ({why}): {then}", file=sys.stderr)


def _launches_there(launcher: DictConfig) -> bool:
    return str(launcher.get("_target_")).endswith(".SlurmLauncher")
