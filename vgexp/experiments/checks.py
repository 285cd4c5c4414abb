"""Checks: can a run be trained as it is written, by what is registered and on this computer?"""

import torch

from vgexp.config import ConfigError, Run, validate
from vgexp.data import dataset
from vgexp.networks import INITIALIZERS, require_buildable
from vgexp.networks.identity import REGISTRIES
from vgexp.numerics import QUANTITIES, TENSORS, products
from vgexp.results.loggers import LOGGERS


def check_run(run: Run) -> None:
    """Raises ConfigError where a run cannot be trained as it is written."""
    validate(run, REGISTRIES)
    require_buildable(run)
    if run.logger != "none" and (needs := LOGGERS[run.logger].needs()):
        raise ConfigError("logger", run.logger, f"none; {run.logger} needs {needs}")
    accepted = INITIALIZERS[run.init.name].distributions
    if run.init.distribution is not None and run.init.distribution not in accepted:
        raise ConfigError("init.distribution", run.init.distribution, f"{', '.join(accepted)} ({run.init.name})")
    if run.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device", run.device, "auto or cpu: there is no CUDA device here")
    for column, quantity in QUANTITIES.items():
        if quantity.of not in TENSORS:
            raise ConfigError(f"QUANTITIES[{column!r}].of", quantity.of, ", ".join(TENSORS))
    products.chosen()  # a choice that cannot be used ends here, whatever the size of the layers
    dataset(run.data)
