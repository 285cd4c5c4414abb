"""The Hydra sweeper that stacks: the jobs of a plan, each a stack of runs, are handed to any launcher."""

from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, read_write

if TYPE_CHECKING:
    from vgexp.experiments.jobs import Job

ConfigStore.instance().store(
    group="hydra/sweeper", name="stack", node={"_target_": "hydra_plugins.stack_sweeper.StackSweeper"}
)


class StackSweeper(Sweeper):
    """Hands the jobs of the plan to the configured launcher."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from vgexp.experiments import launch, slurm

        slurm.warn_of_silence(config.hydra.launcher)
        with read_write(config.hydra):  # where launchers keep their own files
            config.hydra.sweep.dir = str(launch.PLAN.get().folder.absolute() / "state")
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        from vgexp.experiments import launch

        plan, returns = launch.PLAN.get(), list[JobReturn]()

        def launched(jobs: Sequence["Job"]) -> list[list[str]]:
            assert self.launcher is not None
            handed = [[*job.handed(plan.folder), f"jobs={min(job.runs[0].jobs or 1, len(jobs))}"] for job in jobs]
            found = self.launcher.launch(handed, initial_job_idx=len(returns))
            returns.extend(found)
            with redirect_stderr(StringIO()):  # Hydra names overrides that nobody typed before it raises an error
                return [returned.return_value for returned in found]

        launch.complete(plan, launched)
        return returns
