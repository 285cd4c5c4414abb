"""What one writes without vgexp: a plain PyTorch loop over one network, as a Hydra app and as a trainable of Ray Tune.

    python benchmarks/plain.py -m activation=tanh,relu init=standard,glorot,he 'seed=range(0,16)'
    python benchmarks/plain.py --tune 16    (the same grid by Ray Tune, two runs at once)

It trains and keeps the last loss. It looks at no layer, evaluates nothing and writes no table, so that it is as quick
as it can be.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}
INITS: dict[str, Callable[[Tensor], Any]] = {
    "standard": lambda weight: nn.init.uniform_(weight, -(weight.shape[1] ** -0.5), weight.shape[1] ** -0.5),
    "glorot": nn.init.xavier_uniform_,
    "he": nn.init.kaiming_normal_,
}
DEPTH, WIDTH, BATCH, RATE = 20, 64, 64, 0.01
KEPT: list[tuple[Tensor, Tensor]] = []


@dataclass
class Config:
    activation: str = "tanh"
    init: str = "standard"
    seed: int = 0
    steps: int = 1000
    threads: int = 1


def digits() -> tuple[Tensor, Tensor]:
    """Read once a process."""
    if not KEPT:
        from sklearn.datasets import load_digits

        found: Any = load_digits()
        KEPT.append((torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)))
    return KEPT[0]


def train(config: Config) -> float:
    """The last loss of one network."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    x, y = digits()
    sizes = [x.shape[1], *[WIDTH] * DEPTH]
    activation = ACTIVATIONS[config.activation]
    hidden = [module for i, o in pairwise(sizes) for module in (nn.Linear(i, o), activation())]
    model = nn.Sequential(*hidden, nn.Linear(WIDTH, 10))
    for module in model:
        if isinstance(module, nn.Linear):
            INITS[config.init](module.weight)
            nn.init.zeros_(module.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    loss = torch.tensor(torch.nan)
    for _ in range(config.steps):
        batch = torch.randint(len(x), (BATCH,))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
    return loss.item()


def by_hydra() -> None:
    import hydra
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="config", node=Config)
    hydra.main(version_base="1.3", config_name="config")(train)()


def by_tune(seeds: int, steps: int) -> None:
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AIR_NEW_OUTPUT": "0"}
    import ray
    from ray import tune

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    grid = {
        "activation": tune.grid_search(list(ACTIVATIONS)),
        "init": tune.grid_search(list(INITS)),
        "seed": tune.grid_search(list(range(seeds))),
    }
    found = tune.Tuner(
        lambda chosen: {"loss": train(Config(**chosen, steps=steps))},
        param_space=grid,
        run_config=tune.RunConfig(storage_path=str(Path.cwd()), verbose=0),
    ).fit()
    assert not found.errors and len(found) == len(ACTIVATIONS) * len(INITS) * seeds


if __name__ == "__main__":
    if sys.argv[1:2] == ["--tune"]:
        by_tune(int(sys.argv[2]), int(sys.argv[3]))
    else:
        by_hydra()
