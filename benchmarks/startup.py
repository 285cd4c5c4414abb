"""How quickly commands start: their time over that of `python -c "import typer, rich"` or `import torch`, in one run.

    python benchmarks/startup.py [--rounds 9]

Every command is a process of its own; they take turns, so that a slow minute of the machine hits them alike. A ratio is
the median over rounds, with the range of the middle half.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VGEXP = [sys.executable, "-m", "vgexp"]
BASES = {name: [sys.executable, "-c", f"import {name}"] for name in ("typer, rich", "torch")}
DONE = ["train", "data=digits", "model.width=8", "steps=2"]
RESULTS = Path(__file__).parents[1] / "results" / "glorot2010" / "small"
COMMANDS = {
    "vgexp --help": (["--help"], "typer, rich", "<= 3"),
    "vgexp train model.dept=3": (["train", "model.dept=3"], "typer, rich", "<= 5"),
    "vgexp status, 111 runs": (["status", str(RESULTS)], "typer, rich", "<= 5"),
    "vgexp predict": (["predict"], "torch", "<= 2.5"),
    "vgexp train, nothing left to do": (DONE, "torch", "<= 1.5"),
}


def seconds(command: list[str], code: int = 0) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == code, done.stderr
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in (*BASES, *COMMANDS)}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        subprocess.run([*VGEXP, *DONE], check=True, capture_output=True)
        for _ in range(rounds):
            for name, command in BASES.items():
                times[name].append(seconds(command))
            for name, (arguments, _, _) in COMMANDS.items():
                times[name].append(seconds([*VGEXP, *arguments], code=2 if "dept=" in name else 0))
        os.chdir("/")
    print("| what | ratio [middle half] | wanted | over / under |\n| --- | --- | --- | --- |")
    for name, (_, base, wanted) in COMMANDS.items():
        ratios = sorted(a / b for a, b in zip(times[name], times[base], strict=True))
        middle = f"[{ratios[len(ratios) // 4]:.2f}, {ratios[-1 - len(ratios) // 4]:.2f}]"
        over, under = (statistics.median(times[which]) for which in (name, base))
        what = f"`{name}` over `import {base}`"
        print(f"| {what} | {statistics.median(ratios):.2f} {middle} | {wanted} | {over:.2f} / {under:.2f} s |")


if __name__ == "__main__":
    main()
