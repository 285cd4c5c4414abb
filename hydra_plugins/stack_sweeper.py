"""The Hydra sweeper that stacks: choices of structure become jobs for any launcher, choices of members one stack."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, open_dict

if TYPE_CHECKING:
    from vgexp.experiments.stacks import Job

ConfigStore.instance().store(
    group="hydra/sweeper", name="stack", node={"_target_": "hydra_plugins.stack_sweeper.StackSweeper"}
)


class StackSweeper(Sweeper):
    """Plans all jobs, writes the plan, and hands the jobs to the configured launcher."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config_loader = hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        from vgexp.experiments import compose, launch, sweep

        assert self.config is not None
        at_once = _at_once(self.config.hydra.launcher)

        def composed(overrides: Sequence[str]) -> DictConfig:
            with compose.speaking(overrides):
                config = self.config_loader.load_configuration("config", list(overrides), RunMode.RUN)
            with open_dict(config):
                del config["hydra"]
            if config.jobs is None:
                config.jobs = at_once
            return config

        asked = sweep.grids(arguments, composed)
        from vgexp.experiments import plan  # loads torch: what is wrong with the overrides is known by now

        todo = plan.plan(asked)
        current = launch.LAUNCH.get()
        current.folder = todo.folder
        todo.write(current.command)
        returns: list[JobReturn] = []

        def launched(jobs: Sequence["Job"]) -> list[list[str]]:
            assert self.launcher is not None
            spelled = [[*job.spelled(), f"jobs={min(job.runs[0].jobs or 1, len(jobs))}"] for job in jobs]
            found = self.launcher.launch(spelled, initial_job_idx=len(returns))
            returns.extend(found)
            return [returned.return_value for returned in found]  # raises what the job raised

        launch.complete(todo, launched)
        return returns


def _at_once(launcher: DictConfig) -> int:
    """How many jobs a launcher runs at once on this computer: joblib's says it, others run one or elsewhere."""
    if launcher.get("n_jobs") is None:
        return 1
    import joblib

    return joblib.effective_n_jobs(launcher.n_jobs)
