"""Speed as ratios within one run: training against a plain PyTorch loop, and recording against not recording.

    python benchmarks/speed.py [--threads 1] [--repeats 5]

Absolute times depend on the machine and are shown for orientation. Rounds of all contestants alternate, so
that a slow minute of the machine hits them alike, and each ratio is a median of rounds with the range of the
middle half.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from vgexp.config import DataConfig, EvalConfig, ModelConfig, OptimConfig, ProbeConfig, Run
from vgexp.store import Store
from vgexp.train import Training

Step = Callable[[], object]


def plain_loop(run: Run) -> Step:
    """What one writes by hand: nn.Linear, torch.optim.SGD, the same batches from memory."""
    inputs, classes, batches = _batches(run)
    sizes = [inputs, *[run.model.width] * run.model.depth]
    hidden = [m for i, o in zip(sizes[:-1], sizes[1:], strict=True) for m in (nn.Linear(i, o), nn.Tanh())]
    model = nn.Sequential(*hidden, nn.Linear(sizes[-1], classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=run.optim.lr)
    state = {"step": 0}

    def step() -> None:
        x, y = batches[state["step"] % len(batches)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        state["step"] += 1

    return step


def stacked(run: Run, members: int, folder: Path) -> Step:
    """The training step of vgexp, as `vgexp train` takes it."""
    runs = [replace(run, seed=0, optim=replace(run.optim, lr=0.01 + 1e-4 * m)) for m in range(members)]
    return Training(runs, Store(folder)).observe_and_update


def _batches(run: Run) -> tuple[int, int, list[tuple[torch.Tensor, torch.Tensor]]]:
    stream = Training([replace(run, model=ModelConfig(depth=1, width=1))], Store(Path())).stream
    batches = [(x[0], y[0]) for x, y in map(stream.batch, range(200))]
    return stream.data.inputs, stream.data.classes, batches


def race(contestants: dict[str, Step], steps: int, repeats: int) -> dict[str, list[float]]:
    """Seconds a step of each contestant, in alternating rounds."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for step in contestants.values():
        for _ in range(max(3, steps // 10)):
            step()
    for _ in range(repeats):
        for name, step in contestants.items():
            began = time.perf_counter()
            for _ in range(steps):
                step()
            times[name].append((time.perf_counter() - began) / steps)
    return times


def show(title: str, over: list[float], under: list[float], accepted: str, scale: float = 1.0) -> None:
    ratios = sorted(scale * a / b for a, b in zip(over, under, strict=True))
    low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
    print(
        f"{title:58s} {statistics.median(ratios):6.2f}x  [{low:.2f}, {high:.2f}]  {accepted:12s}"
        f" {1e3 * statistics.median(over):8.2f} / {1e3 * statistics.median(under):.2f} ms",
        flush=True,
    )


def network(depth: int, width: int, batch: int, data: str, **probe: object) -> Run:
    return Run(
        steps=10**9,
        data=DataConfig(name=data, batch_size=batch),
        model=ModelConfig(depth=depth, width=width),
        optim=OptimConfig(lr=0.01),
        probe=ProbeConfig(**({"every": "never"} | probe)),  # type: ignore[arg-type]
        eval=EvalConfig(every="never"),
    )


def training_speed(repeats: int, folder: Path) -> None:
    print("updates a second, a member, against the plain loop")
    for depth, width, batch, members, data, steps, accepted in (
        (5, 1000, 10, 1, "shapeset", 100, ">= 2 (1.7)"),
        (20, 64, 64, 32, "digits", 50, ">= 4"),
        (20, 256, 128, 8, "digits", 20, ">= 1.3"),
    ):
        run = network(depth, width, batch, data)
        times = race({"plain": plain_loop(run), "vgexp": stacked(run, members, folder)}, steps, repeats)
        title = f"  {depth} x {width}, batch {batch}, M = {members}"
        show(title, times["plain"], times["vgexp"], accepted, scale=members)


def recording_cost(repeats: int, folder: Path) -> None:
    print("recording against not recording, a step")
    for depth, width, batch, members, data, steps, accepted in (
        (20, 128, 64, 1, "digits", 100, "<= 1.25"),
        (20, 128, 64, 8, "digits", 20, "<= 1.25"),
        (5, 1000, 10, 1, "shapeset", 50, "<= 1.9"),
    ):
        silent = network(depth, width, batch, data)
        tiers = {
            "light every step": network(depth, width, batch, data, every=1),
            "full every step": network(
                depth, width, batch, data, every=1, tier="full", histograms="never", spectra="never"
            ),
        }
        contestants = {"silent": stacked(silent, members, folder)}
        contestants |= {name: stacked(run, members, folder) for name, run in tiers.items()}
        times = race(contestants, steps, repeats)
        for name in tiers:
            title = f"  {depth} x {width}, batch {batch}, M = {members}: {name}"
            show(title, times[name], times["silent"], accepted if name.startswith("light") else "reported")


def default_schedule(repeats: int, folder: Path) -> None:
    """Whole short trainings, since the default schedule is dense at their beginning."""
    print("the default schedule against no recording, 1000 steps and 1 member, evaluation excluded")
    for depth, width, batch, data in ((20, 128, 64, "digits"), (5, 1000, 10, "shapeset")):
        times: dict[str, list[float]] = {"never": [], "log": []}
        for _ in range(repeats):
            for every in times:
                run = replace(network(depth, width, batch, data, every=every), steps=1000)
                step = stacked(run, 1, folder)
                began = time.perf_counter()
                for _ in range(1001):
                    step()
                times[every].append(time.perf_counter() - began)
        show(f"  {depth} x {width}, batch {batch}", times["log"], times["never"], "<= 1.02", scale=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        for threads in arguments.threads:
            torch.set_num_threads(threads)
            print(f"\n{threads} thread{'s' * (threads > 1)}, torch {torch.__version__}")
            training_speed(arguments.repeats, Path(folder))
            recording_cost(arguments.repeats, Path(folder))
            default_schedule(max(3, arguments.repeats // 2), Path(folder))


if __name__ == "__main__":
    main()
