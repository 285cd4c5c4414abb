"""How long a sweep takes: whole commands of vgexp against the same grid without it, in one run.

    python benchmarks/sweeps.py [--rounds 3] [--seeds 2 16 160] [--steps 1000]

20 x 64, tanh and ReLU, three initialisers, some seeds, batches of 64 digits, on two cores. The others train the plain
loop of benchmarks/plain.py, which keeps its last loss alone; vgexp records its layers and evaluates as it does by
default. Commands take turns, so that a slow minute of the machine hits them alike. A ratio is the median over rounds of
another's seconds over those of the quicker of vgexp's two launchers, with the smallest and the largest.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

PLAIN = [sys.executable, str(Path(__file__).with_name("plain.py"))]
HERE = ["hydra.run.dir=.", "hydra.sweep.dir=.", "hydra.sweep.subdir=.", "hydra.output_subdir=null"]
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
NETWORK = ["data=digits", "data.batch_size=64", "model.depth=20", "model.width=64", "optim.lr=0.01"]
ACTIVATIONS, INITS = "tanh,relu", "standard,glorot,he"
RUNS_A_SEED = 6
WEIGHTS = 64 * 64 * 20 + 64 * 10


def commands(seeds: int, steps: int) -> dict[str, list[str]]:
    """What is raced, by name, for so many seeds."""
    grid = [f"seed=range(0,{seeds})", f"steps={steps}"]
    choices = [f"model.activation={ACTIVATIONS}", f"init.name={INITS}"]
    vgexp = [
        sys.executable,
        "-m",
        "vgexp",
        "train",
        "-m",
        *NETWORK,
        *choices,
        *grid,
        "rerun=true",
        f"name=sweep{seeds}",
    ]
    plain = [*PLAIN, "-m", f"activation={ACTIVATIONS}", f"init={INITS}", *grid, *HERE]
    return {
        "vgexp": vgexp,
        "vgexp, joblib": [*vgexp, *JOBLIB, "threads=1"],
        "plain loop, Hydra": [*plain, "threads=2"],
        "plain loop, Hydra, one thread": plain,
        "plain loop, Hydra with joblib": [*plain, *JOBLIB],
        "plain loop, Ray Tune": [*PLAIN, "--tune", str(seeds), str(steps)],
    }


def seconds(command: list[str]) -> float:
    """The whole command, from its start to its end."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_WAIT_POLICY": "passive"})
    assert done.returncode == 0, done.stderr[-2000:]
    return time.perf_counter() - began


def limit(runs: int, steps: int) -> float:
    """Seconds of the sweep's matrix products alone, on both cores, at the speed of products of these shapes."""
    x, weight = torch.rand(48, 64, 64), torch.rand(48, 64, 64)
    out, times = torch.empty_like(x), []
    for _ in range(300):
        began = time.perf_counter()
        torch.bmm(x, weight, out=out)
        times.append(time.perf_counter() - began)
    flops_a_second = 2 * 48 * 64**3 / min(times)
    return runs * steps * 6 * 64 * WEIGHTS / flops_a_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 16, 160])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--only", nargs="+", help="words that the names of the commands have; vgexp is raced always")
    asked = parser.parse_args()
    torch.set_num_threads(2)
    print("| runs | command | seconds [range] | over vgexp [range] | products alone |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for seeds in asked.seeds:
            raced = commands(seeds, asked.steps)
            if asked.only:
                raced = {name: c for name, c in raced.items() if "vgexp" in name or any(w in name for w in asked.only)}
            times: dict[str, list[float]] = {name: [] for name in raced}
            for _ in range(asked.rounds):
                for name, command in raced.items():
                    times[name].append(seconds(command))
            ours = min((times["vgexp"], times["vgexp, joblib"]), key=statistics.median)
            runs = RUNS_A_SEED * seeds
            products = limit(runs, asked.steps)
            for name, taken in times.items():
                ratios = [a / b for a, b in zip(taken, ours, strict=True)]
                row = f"| {runs} | {name} | {spread(taken, '.1f')} | {spread(ratios, '.2f')} | {products:.1f} s |"
                print(row, flush=True)
        os.chdir("/")


def spread(values: list[float], form: str) -> str:
    """The median, with the smallest and the largest."""
    return f"{statistics.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


if __name__ == "__main__":
    main()
