"""What watching costs: a training step under `vgexp.watch` over the bare one, in one process and one run.

    python benchmarks/watching.py [--rounds 15]

The contestants take turns, so that a slow minute of the machine hits them alike. A ratio is the median over rounds,
with the range of the middle half.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from vgexp.watching.monitor import watch

CONTESTANTS: dict[str, dict[str, Any] | None] = {
    "bare": None,
    "every step, everything": {"every": 1},
    "every step, gradients alone": {"every": 1, "quantities": "gradients"},
    "default schedule": {},
}
ACCEPTED = {
    (20, 128, 64): {
        "every step, everything": "<= 1.25",
        "every step, gradients alone": "<= 1.12",
        "default schedule": "<= 1.02",
    },
    (5, 1000, 10): {"every step, everything": "<= 1.25"},
    (50, 64, 64): {},
}


def stepper(depth: int, width: int, batch: int, options: dict[str, Any] | None) -> Callable[[], None]:
    hidden = [module for _ in range(depth) for module in (nn.Linear(width, width), nn.Tanh())]
    model = nn.Sequential(*hidden, nn.Linear(width, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.randn(batch, width), torch.randint(10, (batch,))
    monitor = watch(model, **options) if options is not None else None

    def step() -> None:
        nn.functional.cross_entropy(model(x), y).backward()
        if monitor:
            monitor.step()
        optimizer.step()
        optimizer.zero_grad()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"1 thread, torch {torch.__version__}\n")
    print("| what | ratio [middle half] | wanted | ms, bare |\n| --- | --- | --- | --- |")
    for (depth, width, batch), accepted in ACCEPTED.items():
        steps = {name: stepper(depth, width, batch, options) for name, options in CONTESTANTS.items()}
        taken = 6 if width == 1000 else 20
        times: dict[str, list[float]] = {name: [] for name in steps}
        for round_ in range(rounds + 2):
            for name, step in steps.items():
                began = time.perf_counter()
                for _ in range(taken):
                    step()
                if round_ > 1:  # the first two warm up, and hold the dense beginning of the default schedule
                    times[name].append((time.perf_counter() - began) / taken)
        for name in list(steps)[1:]:
            ratios = sorted(a / b for a, b in zip(times[name], times["bare"], strict=True))
            middle = f"[{ratios[len(ratios) // 4]:.2f}, {ratios[-1 - len(ratios) // 4]:.2f}]"
            milliseconds = 1e3 * statistics.median(times["bare"])
            what = f"{name}, {depth} x {width}, batch {batch}"
            print(
                f"| {what} | {statistics.median(ratios):.2f} {middle} | {accepted.get(name, '')} | {milliseconds:.2f} |"
            )


if __name__ == "__main__":
    main()
