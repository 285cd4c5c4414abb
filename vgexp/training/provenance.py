"""Where a number comes from: code, versions, machine."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from vgexp.numerics import model_name


def provenance(device: torch.device) -> dict[str, str | bool | int]:
    """The provenance columns of the `runs` table, for a run on `device`."""
    sha, dirty = git_state()
    return {
        "git_sha": sha,
        "git_dirty": dirty,
        "vgexp": package_version(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": model_name(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }


def package_version() -> str:
    """The version of vgexp that is installed; `unknown` where it runs without being installed."""
    try:
        return version("vgexp")
    except PackageNotFoundError:
        return "unknown"


@cache
def git_state() -> tuple[str, bool]:
    """Commit of the checkout that vgexp is run from, and whether more than results/ changed; ("", False) elsewhere."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return "", False
    try:
        sha = _git(here, "rev-parse", "HEAD")
        return sha, bool(_git(here, "status", "--porcelain", "--", ".", ":!results"))
    except (OSError, subprocess.SubprocessError):
        return "", False


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
