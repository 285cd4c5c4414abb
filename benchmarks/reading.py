"""How fast large results are read: seconds of wall and processor, and the most memory, of a command or function each.

    python benchmarks/reading.py make DIR [--runs 10000 --layers 20 --observations 50 --members 32 --seeds 50]
    python benchmarks/reading.py measure DIR [--only status,profile]

`make` writes the results of a sweep that nobody computed: its numbers are drawn, its files are those that a store
writes. `measure` runs each in a process of its own.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from vgexp.config.fields import DataConfig, InitConfig, ModelConfig, OptimConfig, ProbeConfig, Run
from vgexp.networks.identity import identity
from vgexp.results import TABLES
from vgexp.results.writing import Store, runs_frame, stack_id

ACTIVATIONS, LAWS = ("tanh", "relu"), ("standard", "glorot", "he", "lecun")
EVERY = 10
"""Updates between two observations."""
MEASURED = {
    "status": ["status", "DIR"],
    "read": "vgexp.read(DIR)",
    "one column": "vgexp.read(DIR).table('layers', columns=['run', 'layer', 'dz_rms'], steps=[0])",
    "one run": "(lambda r: r.table('layers', runs=[r.runs['run'].iloc[-1]]))(vgexp.read(DIR))",
    "profile": ["plot", "DIR", "--only", "profile"],
    "plot": ["plot", "DIR"],
    "report": ["report", "DIR"],
    "layers": "vgexp.read(DIR).layers",
    "export": ["export", "DIR", "--csv"],
}
"""What is measured, by name: the arguments of a command, or an expression."""


def sweep(runs: int, layers: int, observations: int, seeds: int) -> Iterator[Run]:
    """Runs of plain networks with these layers: activations, laws, and so many learning rates as it takes."""
    conditions = -(-runs // seeds)
    rates = np.geomspace(1e-3, 1, -(-conditions // (len(ACTIVATIONS) * len(LAWS)))).round(6)
    base = Run(steps=EVERY * (observations - 1), data=DataConfig(name="digits"), probe=ProbeConfig(every=EVERY))
    grid = product(ACTIVATIONS, LAWS, rates, range(seeds))
    for (activation, law, rate, seed), _ in zip(grid, range(runs), strict=False):
        model = ModelConfig(depth=layers, width=64, activation=activation)
        init, optim = InitConfig(name=law), OptimConfig(lr=float(rate))
        yield replace(base, seed=seed, model=model, init=init, optim=optim)


def tables(runs: list[Run], random: np.random.Generator) -> dict[str, pd.DataFrame]:
    """The tables of one stack: gradients that fall by a factor a layer and wander from step to step."""
    steps, layers = np.arange(0, runs[0].steps + 1, EVERY), np.arange(1, runs[0].model.depth + 2)
    ids = np.sort([identity(run) for run in runs])
    shape = len(ids), len(steps), len(layers)
    run, step, layer = (axis.ravel() for axis in np.meshgrid(ids, steps, layers, indexing="ij"))
    fall = 0.05 * (layers - layers[-1])
    found = pd.DataFrame({"run": run, "step": step, "layer": layer, "part": ""})
    for column in TABLES["layers"].columns:
        slope = fall if column.startswith("d") else 0.0
        found[column] = (10 ** (slope + 0.1 * random.standard_normal(shape))).ravel()
    run, step = (axis.ravel() for axis in np.meshgrid(ids, steps, indexing="ij"))
    losses = pd.DataFrame({"run": run, "step": step, "examples": step * runs[0].data.batch_size})
    for column in TABLES["steps"].columns[1:]:
        losses[column] = (2 / (1 + 0.01 * step)) * random.uniform(0.9, 1.1, len(losses))
    return {"steps": losses, "layers": found}


def make(folder: Path, runs: int, layers: int, observations: int, members: int, seeds: int) -> None:
    """Writes a sweep that is done."""
    store, random = Store(folder), np.random.default_rng(0)
    asked = list(sweep(runs, layers, observations, seeds))
    store.plan(asked, {}, "vgexp train -m ...")
    for activation in ACTIVATIONS:
        same = [run for run in asked if run.model.activation == activation]
        for first in range(0, len(same), members):
            stack = same[first : first + members]
            name, made = stack_id(stack), tables(stack, random)
            last = made["steps"].drop_duplicates("run", keep="last").set_index("run")
            rows = runs_frame(stack, name, status="done", message="", step=stack[0].steps + 1, seconds=1.0)
            rows = rows.assign(started=time.time() - members, diverged_at=pd.array([None] * len(stack), dtype="Int64"))
            finals = last[[c for c in last if str(c).endswith(("_loss", "_error"))]].add_prefix("final_")
            store.write(name, made, rows.join(finals, on="run"))


def measure(folder: Path, names: list[str]) -> None:
    print("| what | wall, s | processor, s | peak memory, MB |\n| --- | --- | --- | --- |", flush=True)
    for name in names:
        what = MEASURED[name]
        if isinstance(what, str):
            command = [sys.executable, "-c", f"import vgexp; DIR = {str(folder)!r}; {what}"]
        else:
            command = [sys.executable, "-m", "vgexp", *(str(folder) if word == "DIR" else word for word in what)]
        code = "import json, resource, subprocess, sys, time; began = time.perf_counter(); "
        code += "done = subprocess.run(json.loads(sys.argv[1]), stdout=subprocess.DEVNULL).returncode; "
        code += "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        code += "print(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, done)"
        said = subprocess.run([sys.executable, "-c", code, json.dumps(command)], capture_output=True, text=True)
        wall, used, peak, failed = map(float, said.stdout.split())
        print(
            f"| {name} | {wall:.2f} | {used:.2f} | {peak:.0f} |{' FAILED ' + said.stderr[-500:] if failed else ''}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making, measuring = commands.add_parser("make"), commands.add_parser("measure")
    for one in (making, measuring):
        one.add_argument("folder", type=Path, metavar="DIR")
    for name, default in {"runs": 10_000, "layers": 20, "observations": 50, "members": 32, "seeds": 50}.items():
        making.add_argument(f"--{name}", type=int, default=default)
    measuring.add_argument("--only", default=",".join(MEASURED))
    asked = vars(parser.parse_args())
    if asked.pop("command") == "make":
        make(**asked)
    else:
        measure(asked["folder"], asked["only"].split(","))


if __name__ == "__main__":
    main()
