"""From which size of layers a second thread pays, alone and where two jobs share two cores.

    python benchmarks/threads.py [--repeats 9]

A step on one thread over the same step on two: above 1 the second thread pays. Threads wait for each other asleep,
as in every `vgexp` command, or in a loop, as OpenMP has it by default. The default of `threads` goes by the largest
product of a step, 2 M B N^2 operations for M members, batch B and N units.
"""

import argparse

from speed import race, show

SHAPES = (
    # depth, width, batch, members, data, steps a turn
    (20, 64, 64, 1, "digits", 40),
    (20, 128, 64, 1, "digits", 30),
    (20, 128, 64, 2, "digits", 20),
    (20, 128, 64, 4, "digits", 15),
    (20, 64, 64, 32, "digits", 10),
    (5, 1000, 10, 1, "shapeset", 30),
    (20, 256, 128, 8, "digits", 3),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    print("| what | ratio [middle half] | of the fastest rounds | wanted | over / under |")
    print("| --- | --- | --- | --- | --- |")
    for depth, width, batch, members, data, steps in SHAPES:
        shape = {"depth": depth, "width": width, "batch": batch, "data": data}
        spec = {"network": shape, "members": members}
        contestants = {
            "one": spec | {"threads": 1},
            "two": spec | {"threads": 2, "environment": {"OMP_WAIT_POLICY": "passive"}},
            "loops": spec | {"threads": 2, "environment": {"OMP_WAIT_POLICY": "active"}},
        }
        title = f"{depth} x {width}, batch {batch}, M = {members}, {2 * members * batch * width**2 / 1e6:.2g} MFLOP"
        for together, where in ((1, "alone"), (2, "two jobs")):
            times = race(contestants, steps, repeats, together)
            show(f"{title}, {where}: 1 thread / 2", times["one"], times["two"], "reported")
            show(f"{title}, {where}: 1 thread / 2 that wait in a loop", times["one"], times["loops"], "reported")


if __name__ == "__main__":
    main()
