"""Checks: can a run be trained as it is written, by what is registered and on this computer?"""

import torch

from vgexp.config import ConfigError, Run, check
from vgexp.data import DATASETS, dataset
from vgexp.networks import ACTIVATIONS, FAMILIES, INITIALIZERS, LOSSES, OPTIMIZERS, require_buildable
from vgexp.numerics import TIERS
from vgexp.results import tensorboard


def check_run(run: Run) -> None:
    """Raises ConfigError where a run cannot be trained as it is written."""
    choices = {
        "loss": LOSSES,
        "data.name": DATASETS,
        "model.family": FAMILIES,
        "model.activation": ACTIVATIONS,
        "init.name": INITIALIZERS,
        "init.scope": ("all", "hidden"),
        "optim.name": OPTIMIZERS,
        "probe.tier": TIERS,
        "probe.on": ("batch", "monitor"),
        "memory": ("store", "checkpoint", "invert"),
        "logger": tensorboard.LOGGERS,
        "device": ("auto", "cpu", "cuda"),
        "dtype": ("float32", "float64"),
    }
    check(run, {key: tuple(names) for key, names in choices.items()})
    require_buildable(run)
    if run.logger == "tensorboard" and not tensorboard.installed():
        raise ConfigError("logger", run.logger, "none; tensorboard needs `pip install vgexp[tensorboard]`")
    accepted = INITIALIZERS[run.init.name].distributions
    if run.init.distribution is not None and run.init.distribution not in accepted:
        raise ConfigError("init.distribution", run.init.distribution, f"{', '.join(accepted)} ({run.init.name})")
    if run.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device", run.device, "auto or cpu: there is no CUDA device here")
    dataset(run.data)
