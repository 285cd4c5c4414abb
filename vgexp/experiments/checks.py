"""Checks: can a run be trained, or predicted, as it is written, by what is registered and on this computer?"""

import torch

from vgexp.config import ConfigError, Run, validate
from vgexp.costs import follows_depth
from vgexp.data import dataset
from vgexp.networks import INITIALIZERS, NORMS, require_buildable
from vgexp.networks.identity import REGISTRIES
from vgexp.numerics import QUANTITIES, TENSORS, products
from vgexp.results.durations import checkpoint_seconds
from vgexp.results.loggers import LOGGERS

DEEPEST, DEEPEST_UNLIKE = 10_000, 1_000
"""Layers that are predicted in a minute: of blocks that are all alike, and of others, which are counted one by one."""
MOST_EXAMPLES, MOST_TOGETHER = 10_000, 1_000
"""Examples of a batch that a prediction looks at, and of one that is normalised together: each with each."""


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
    checkpoint_seconds()
    dataset(run.data)


def check_prediction(run: Run) -> None:
    """Raises ConfigError where theory and counting, which go layer by layer, would take hours or all memory."""
    depth, batch, norm = run.model.depth, run.data.batch_size, NORMS[run.model.norm]
    deepest = DEEPEST if depth > DEEPEST or follows_depth(run) else DEEPEST_UNLIKE
    if depth > deepest:
        raise ConfigError("model.depth", depth, f"at most {deepest} for a prediction, which goes layer by layer")
    most = MOST_TOGETHER if norm is not None and norm.over_examples else MOST_EXAMPLES
    if run.probe.on == "batch" and batch > most:
        raise ConfigError("data.batch_size", batch, f"at most {most} for a prediction, which looks at a batch")
