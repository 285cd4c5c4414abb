"""Launchers: ours for Ray, what is asked of any before a sweep starts, and how many jobs share a computer."""

import importlib.util
import socket
from typing import Any, NamedTuple

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from vgexp.config import ConfigError
from vgexp.config.rules import COUNT, MOST_THREADS, Rule, integer, optional
from vgexp.experiments.slurm import check_slurm

RAY = "hydra_plugins.ray_launcher.RayLauncher"
CONNECT_SECONDS = 10.0
"""How long a cluster may take to answer."""


class Setting(NamedTuple):
    """A field of `hydra/launcher=ray`."""

    default: Any
    rule: Rule


def offer_ray() -> None:
    """Makes `hydra/launcher=ray` ours. To be called when Hydra has loaded its plugins: hydra-ray-launcher has one of
    that name too, and the last one counts."""
    node = {"_target_": RAY, **{key: setting.default for key, setting in RAY_FIELDS.items()}}
    ConfigStore.instance().store(group="hydra/launcher", name="ray", node=node, provider="vgexp")


def check_launcher(launcher: DictConfig) -> None:
    """Raises ConfigError where a launcher cannot be used as it is configured: an extra is missing, a value is none,
    no cluster answers. Hydra itself checks the fields of the launchers that are not ours."""
    check_slurm(launcher)
    if not JOBS.holds(launcher.get("n_jobs")):
        raise ConfigError("hydra.launcher.n_jobs", launcher.n_jobs, JOBS.words)
    if launcher.get("_target_") != RAY:
        return
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("hydra/launcher", "ray", "basic, joblib; ray needs `pip install 'vgexp[ray]'`")
    for key, value in launcher.items():
        if key != "_target_" and key not in RAY_FIELDS:
            raise ConfigError(f"hydra.launcher.{key}", value, f"only fields of the launcher: {', '.join(RAY_FIELDS)}")
    for key, setting in RAY_FIELDS.items():
        if not setting.rule.holds(launcher.get(key)):
            raise ConfigError(f"hydra.launcher.{key}", launcher.get(key), setting.rule.words)
    if launcher.address != "local":
        cluster_address(launcher.address)
    elif launcher.num_cpus > _cpus():
        raise ConfigError("hydra.launcher.num_cpus", launcher.num_cpus, f"at most {_cpus()}, with address=local")


def at_once(launcher: DictConfig) -> int:
    """How many jobs a launcher runs at once on this computer, or on others that are like it.

    Joblib's says it. Ray's follows from what each job has for itself: of jobs with a GPU, those that share one. Others
    run one job, or elsewhere.
    """
    if launcher.get("_target_") == RAY:
        return max(1, int(1 / launcher.num_gpus) if launcher.num_gpus else _cpus() // launcher.num_cpus)
    if launcher.get("n_jobs") is None:
        return 1
    import joblib

    return joblib.effective_n_jobs(launcher.n_jobs)


def cluster_address(address: str) -> str:
    """The host:port of a Ray cluster, which answers there; `auto` finds the one that this computer is part of.

    Raises ConfigError where none is found or none answers: Ray itself would try for minutes.
    """
    found = address
    try:
        if address == "auto":
            from ray._private.services import canonicalize_bootstrap_address  # what ray.init does with it

            found = canonicalize_bootstrap_address(address) or ""
        host, _, port = found.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        raise ConfigError(
            "hydra.launcher.address", address, f"{RAY_FIELDS['address'].rule.words}; none answers"
        ) from None
    return found


def _cpus() -> int:
    import joblib

    return joblib.cpu_count()


def _is_address(x: Any) -> bool:
    return isinstance(x, str) and (x in ("local", "auto") or (x.rpartition(":")[2].isdecimal() and "/" not in x))


def _is_gpus(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and (0 <= x <= 1 or (isinstance(x, int) and x > 0))


JOBS = optional(
    Rule(lambda x: x != 0 and integer(-MOST_THREADS, MOST_THREADS).holds(x), ""),
    f"jobs at once, at most {MOST_THREADS}; -1: one for each CPU, -2: one less",
)
"""`hydra.launcher.n_jobs` of joblib; other launchers have none."""
RAY_FIELDS = {
    # The cluster: one that runs, the one that this computer is part of, or one of this computer alone for this sweep.
    "address": Setting("local", Rule(_is_address, "local, auto, or host:port of a running cluster")),
    # What each job has for itself.
    "num_cpus": Setting(1, COUNT),
    "num_gpus": Setting(0, Rule(_is_gpus, "0, a share of one GPU, or an integer")),
}
