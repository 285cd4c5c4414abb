"""Speed as ratios within one run: training against a plain PyTorch loop, recording against not recording, networks with
norms and skips against plain ones.

    python benchmarks/speed.py [--threads 1 2] [--repeats 9]

Every contestant has a process of its own, as in life (one's allocations change the next one's page faults), and
they take turns, so that a slow minute of the machine hits them alike. A ratio is the median over rounds, with the
range of the middle half; the milliseconds are for orientation.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from vgexp.config.fields import DataConfig, EvalConfig, ModelConfig, OptimConfig, ProbeConfig, Run
from vgexp.results.writing import Store
from vgexp.training.loop import Training

Step = Callable[[], object]


def network(depth: int, width: int, batch: int, data: str, model: Mapping[str, Any] | None = None, **probe: Any) -> Run:
    return Run(
        steps=10**9,
        data=DataConfig(name=data, batch_size=batch),
        model=ModelConfig(depth=depth, width=width, **(model or {})),
        optim=OptimConfig(lr=0.01),
        probe=ProbeConfig(**({"every": "never", "histograms": "never", "spectra": "never"} | probe)),
        eval=EvalConfig(every="never"),
    )


def plain(run: Run, warm: bool) -> Step:
    """What one writes by hand in a script of its own: nn.Linear, torch.optim.SGD, batches in memory."""
    inputs, classes = {"shapeset": (1024, 9), "digits": (64, 10)}[run.data.name]
    size = run.data.batch_size
    batches = [(torch.rand(size, inputs), torch.randint(classes, (size,))) for _ in range(200)]
    if warm:  # buffers of tens of megabytes, once freed, teach glibc to keep memory
        for _ in range(3):
            torch.rand(4 * 2**20)
    sizes = [inputs, *[run.model.width] * run.model.depth]
    hidden = [module for i, o in pairwise(sizes) for module in (nn.Linear(i, o), nn.Tanh())]
    model = nn.Sequential(*hidden, nn.Linear(sizes[-1], classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=run.optim.lr)
    taken = 0

    def step() -> None:
        nonlocal taken
        x, y = batches[taken % len(batches)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        taken += 1

    return step


def stacked(run: Run, members: int) -> Step:
    """The step that `vgexp train` takes, batches from memory as well."""
    runs = [replace(run, optim=replace(run.optim, lr=0.01 + 1e-4 * m)) for m in range(members)]
    training = Training(runs, Store(Path(TemporaryDirectory().name)))
    batches = [training.stack.stream.batch(step) for step in range(200)]
    training.stack.stream.batch = lambda step: batches[step % len(batches)]
    return training.observe_and_update


def work(spec: dict[str, Any]) -> None:
    """A contestant: takes as many steps as each line of stdin asks for, and answers with the seconds."""
    torch.set_num_threads(spec["threads"])
    run, members = network(**spec["network"]), spec["members"]
    if "steps" in spec:
        run = replace(run, steps=spec["steps"])
    make = (lambda: stacked(run, members)) if members else (lambda: plain(run, bool(spec.get("warm"))))
    step = make()
    for line in sys.stdin:
        if "steps" in spec:
            step = make()  # a training has a beginning, where the default schedule is dense
        began = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - began, flush=True)


def race(contestants: dict[str, dict[str, Any]], steps: int, repeats: int, together: int = 1) -> dict[str, list[float]]:
    """Seconds a step of each contestant, round by round; with several of it at once, of the slowest."""
    workers = {
        name: [
            subprocess.Popen(
                [sys.executable, __file__, "--work", json.dumps(spec)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | spec.get("environment", {}),
            )
            for _ in range(together)
        ]
        for name, spec in contestants.items()
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(repeats + 1):
        for name, group in workers.items():
            for worker in group:
                assert worker.stdin
                worker.stdin.write(f"{steps}\n")
                worker.stdin.flush()
            seconds = max(float(worker.stdout.readline()) for worker in group if worker.stdout) / steps
            if round_:  # the first round warms up
                times[name].append(seconds)
    for group in workers.values():
        for worker in group:
            worker.communicate()
    return times


def show(title: str, over: list[float], under: list[float], accepted: str, scale: float = 1.0) -> None:
    ratios = sorted(scale * a / b for a, b in zip(over, under, strict=True))
    middle = f"[{ratios[len(ratios) // 4]:.2f}, {ratios[-1 - len(ratios) // 4]:.2f}]"
    fastest = scale * min(over) / min(under)
    milliseconds = f"{1e3 * statistics.median(over):.2f} / {1e3 * statistics.median(under):.2f} ms"
    print(
        f"| {title} | {statistics.median(ratios):.2f} {middle} | {fastest:.2f} | {accepted} | {milliseconds} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--only", default="", help="training, recording, schedule or families")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(json.loads(arguments.work))
        return
    for threads in arguments.threads:
        print(f"\n{threads} thread{'s' * (threads > 1)}, torch {torch.__version__}\n")
        print("| what | ratio [middle half] | of the fastest rounds | wanted | over / under |")
        print("| --- | --- | --- | --- | --- |")
        for section in (training, recording, default_schedule, families):
            if arguments.only in section.__name__:
                section(threads, arguments.repeats)


def training(threads: int, repeats: int) -> None:
    """Updates a second and member of vgexp over those of the plain loop."""
    for depth, width, batch, members, data, steps, accepted in (
        (5, 1000, 10, 1, "shapeset", 60, ">= 2" if threads == 1 else ">= 1.7"),
        (20, 64, 64, 32, "digits", 40, ">= 4"),
        (20, 256, 128, 8, "digits", 15, ">= 1.3"),
    ):
        spec = {"network": {"depth": depth, "width": width, "batch": batch, "data": data}, "threads": threads}
        contestants = {"plain": spec | {"members": 0}, "vgexp": spec | {"members": members}}
        contestants["warm"] = spec | {"members": 0, "warm": True}
        times = race(contestants, steps, repeats)
        title = f"speed, {depth} x {width}, batch {batch}, M = {members}: plain loop / vgexp, a member"
        show(title, times["plain"], times["vgexp"], accepted, scale=members)
        show(f"{title}, allocator warm", times["warm"], times["vgexp"], "reported", scale=members)


def recording(threads: int, repeats: int) -> None:
    """A step with every quantity of a tier over a step without."""
    for depth, width, batch, members, data, steps, accepted in (
        (20, 128, 64, 1, "digits", 80, "<= 1.25"),
        (20, 128, 64, 8, "digits", 20, "<= 1.25"),
        (5, 1000, 10, 1, "shapeset", 40, "<= 1.9"),
    ):
        shape = {"depth": depth, "width": width, "batch": batch, "data": data}
        tiers = {"silent": {}, "light": {"every": 1}, "full": {"every": 1, "tier": "full"}}
        specs = {
            tier: {"network": shape | probe, "threads": threads, "members": members} for tier, probe in tiers.items()
        }
        times = race(specs, steps // 4, 4 * repeats)  # short turns: a machine's speed changes by the second
        for tier, wanted in (("light", accepted), ("full", "reported")):
            title = f"{tier} tier every step, {depth} x {width}, batch {batch}, M = {members}: recording / not"
            show(title, times[tier], times["silent"], wanted)


def default_schedule(threads: int, repeats: int) -> None:
    """Whole trainings of 1000 steps, evaluation excluded."""
    for depth, width, batch, data in ((20, 128, 64, "digits"), (5, 1000, 10, "shapeset")):
        shape = {"depth": depth, "width": width, "batch": batch, "data": data}
        specs = {
            every: {"network": shape | {"every": every}, "threads": threads, "members": 1, "steps": 1000}
            for every in ("never", "log")
        }
        times = race(specs, 1001, max(3, repeats // 2))
        title = f"default schedule, {depth} x {width}, batch {batch}, 1000 steps: recording / not"
        show(title, times["log"], times["never"], "<= 1.02")


def families(threads: int, repeats: int) -> None:
    """A step of a stack with norms or skips over one of the plain stack with the same matrices."""
    shape = {"depth": 20, "width": 128, "batch": 64, "data": "digits"}
    skips = {"family": "residual"}
    models = {
        "plain": {},
        "batch norm": {"norm": "batch"},
        "layer norm": {"norm": "layer"},
        "rms norm": {"norm": "rms"},
        "residual": skips,
        "residual, layer norm": skips | {"norm": "layer"},
        "residual, layer norm, post": skips | {"norm": "layer", "placement": "post"},
        "residual, learned": skips | {"branch": "learned"},
    }
    specs = {
        name: {"network": shape | {"model": model}, "threads": threads, "members": 8} for name, model in models.items()
    }
    times = race(specs, 5, 4 * repeats)
    for name in list(models)[1:]:
        show(f"{name}, 20 x 128, batch 64, M = 8: a step / plain", times[name], times["plain"], "<= 1.3")


if __name__ == "__main__":
    main()
