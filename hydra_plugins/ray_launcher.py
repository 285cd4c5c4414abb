"""The Hydra launcher that hands its jobs to Ray, on this computer or on a cluster: `hydra/launcher=ray`.

Its fields are in vgexp/experiments/launchers.py. Ray is imported when it launches.
"""

import io
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

PASSED = ("VGEXP_", "OMP_", "WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY")
"""Beginnings of the environment variables that jobs find as the command has them."""
QUIET = dict.fromkeys(["RAY_USAGE_STATS_ENABLED", "RAY_DEDUP_LOGS", "RAY_COLOR_PREFIX", "RAY_SCHEDULER_EVENTS"], "0")
"""No word to Ray's makers; every line of every job, in plain text."""
OBJECT_BYTES = 100_000_000
"""Memory that a Ray of our own sets aside for what travels: configs alone."""


class RayLauncher(Launcher):
    """Runs each job as a task of Ray, which starts it again elsewhere when its worker or its computer dies."""

    def __init__(self, address: str, num_cpus: int, num_gpus: float) -> None:
        self.address, self.num_cpus, self.num_gpus = address, num_cpus, num_gpus

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.task, self.config = hydra_context.config_loader, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Returns what each job returned or raised. A job that was interrupted where it ran is launched again."""
        with self._connected(), redirect_stdout(_Short()):
            import ray
            from ray.exceptions import RayError, RayTaskError, TaskCancelledError

            self._say_if_none_fits(ray.nodes())
            remote = ray.remote(max_retries=-1, num_cpus=self.num_cpus, num_gpus=self.num_gpus)(_job)
            returns = [JobReturn(overrides=overrides) for overrides in job_overrides]
            running: dict[Any, int] = {}

            def submit(place: int) -> None:
                task = remote.options(name=f"job {initial_job_idx + place}")
                running[task.remote(self.task, self._composed(job_overrides[place]), Path.cwd())] = place

            try:
                for place in range(len(returns)):
                    submit(place)
                while running:
                    [ended], _ = ray.wait(list(running))
                    place = running.pop(ended)
                    try:
                        returns[place].return_value = ray.get(ended)
                        returns[place].status = JobStatus.COMPLETED
                    except TaskCancelledError:  # the worker was told to go, and has saved
                        submit(place)
                    except RayError as error:
                        cause = error.cause if isinstance(error, RayTaskError) else error
                        returns[place].return_value, returns[place].status = cause, JobStatus.FAILED
            except KeyboardInterrupt:
                for task in running:
                    ray.cancel(task)
                if running:  # they save; a second Ctrl-C does not wait for it
                    ray.wait(list(running), num_returns=len(running))
                raise
            return returns

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        """The config of a job, composed here: workers need not have the config files."""
        config = self.loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            del config["hydra"]
        config.jobs = 1  # of the share of its computer that Ray reserves for a job, none goes to others
        return config

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Ray is there in the block; the signals are left to who handled them before."""
        from vgexp.experiments.launchers import cluster_address

        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        import joblib
        import ray

        if self.address == "local":
            where: dict[str, Any] = {"address": "local", "num_cpus": joblib.cpu_count(), "include_dashboard": False}
            where["object_store_memory"] = OBJECT_BYTES
        else:
            where = {"address": cluster_address(self.address)}
        try:
            ray.init(**where, runtime_env={"env_vars": self._environment()}, logging_level=logging.ERROR)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            yield
        finally:
            ray.shutdown()

    def _environment(self) -> dict[str, str]:
        """The variables that jobs find; torch has no more threads than a job has CPUs."""
        passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED)}
        threads = passed.get("OMP_NUM_THREADS", "")
        if not threads.isdecimal() or int(threads) > self.num_cpus:
            passed["OMP_NUM_THREADS"] = str(self.num_cpus)
        return passed

    def _say_if_none_fits(self, nodes: Sequence[dict[str, Any]]) -> None:
        """A cluster may grow. Until it has a computer that is large enough, Ray waits without a word."""
        asked = {"CPU": self.num_cpus, "GPU": self.num_gpus}
        known = [node["Resources"] for node in nodes if node["Alive"]]
        if not any(all(there.get(kind, 0) >= number for kind, number in asked.items()) for there in known):
            needs = " and ".join(f"{number} {kind}" for kind, number in asked.items() if number)
            print(f"vgexp: waiting for a computer that has {needs} for a job; Ctrl-C ends the wait", file=sys.stderr)


def _job(task: TaskFunction, config: DictConfig, folder: Path) -> Any:
    """A job, in a worker. Where the folder is missing the job says what is not shared."""
    with suppress(OSError):
        os.chdir(folder)
    return task(config)


class _Short(io.TextIOBase):
    """Where Ray writes what jobs print, and in twenty lines what befell it: of that the first sentence. All of it is
    progress, and goes to stderr."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text.partition(". ")[0] if text.startswith("(raylet") else text)

    def flush(self) -> None:
        sys.stderr.flush()
