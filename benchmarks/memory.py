"""Memory over time: of one large stack, and of a sweep of many small ones.

    python benchmarks/memory.py

Prints the resident memory of the process at tenths of each run: flat is what does not grow from the third to the last.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASES = {
    "256 members, 1,000 steps, each observed": (
        "model.depth=5 model.width=32 seed=range(0,256) steps=1000 probe.every=1 eval.every=never max_members=256"
    ),
    "2,000 runs in 100 stacks": (
        "model.depth=2 model.width=8 model.activation=tanh,relu,sigmoid,gelu,silu data.batch_size=range(10,20)"
        " seed=range(0,40) steps=5 eval.every=never max_members=20"
    ),
}
SAMPLES_SECONDS = 0.2


def resident(pid: int) -> float:
    """MB; 0 where the process has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def measured(overrides: str) -> tuple[list[float], float]:
    """The memory of a sweep over time, in MB, and its CPU time in seconds."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "vgexp", "train", "-m", "data=digits", "threads=1", *overrides.split()]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        before = os.times()
        process = subprocess.Popen(command, cwd=place, env=environment, stdout=sys.stderr)
        found = []
        while process.poll() is None:
            found.append(resident(process.pid))
            time.sleep(SAMPLES_SECONDS)
        after = os.times()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return [sample for sample in found if sample], spent


def main() -> None:
    for name, overrides in CASES.items():
        found, spent = measured(overrides)
        tenths = [max(found[i * len(found) // 10 : (i + 1) * len(found) // 10] or [0.0]) for i in range(10)]
        over_time = " ".join(f"{sample:.0f}" for sample in tenths)
        print(f"{name}: {over_time} MB, peak {max(found):.0f}; {spent:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
