"""The verdicts of `vgexp.diagnose` on networks as people build them, sound and with a fault put in, against float64.

    export PYTHONPATH=tests
    python benchmarks/verdicts.py cells.csv [--only NETWORK ...]   # computes what is missing, about ten minutes
    python benchmarks/verdicts.py cells.csv --table                # the tables of docs/watch.md

A cell is a network of tests/field with one of its faults, at initialisation and, if 200 steps of Adam halve its loss,
after them, on a batch that it has not seen. Its truth is what tests/field/truth.py measures without vgexp. Where Adam
does not halve the loss, SGD with momentum and other learning rates are tried too.
"""

import argparse
import copy
import csv
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from field import MUTATIONS, NETWORKS, batch_for, mutated
from field.learning import adam, learns, train
from field.mutations import LATE
from field.truth import truth

from vgexp.watching.checkup import diagnose

COLUMNS = ("network", "fault", "when", "said", "allowed", "fall", "cliff", "branch", "left", "learns", "right")
SHORT = {"disconnected": "disc.", "vanishing": "van.", "exploding": "expl.", "undecided": "und.", "saturated": "sat."}


def judged(name: str, model: Any, seed: int) -> dict[str, Any]:
    """The verdict on a model and what is true of it."""
    batch, loss_fn = batch_for(name, model, seed), NETWORKS[name].loss
    try:
        true = truth(model, batch, loss_fn)
    except RuntimeError:  # the model itself cannot run with this fault
        return {"said": "raises", "allowed": "raises", "right": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            verdict = diagnose(model, batch, loss_fn).verdict
        except Exception as error:
            verdict = f"{type(error).__name__}: {error}".splitlines()[0]
    allowed = true.allows()
    numbers = {"fall": f"{true.fall:.2f}", "cliff": f"{true.cliff:.2f}", "branch": f"{true.branch:.2f}"}
    return {"said": verdict, "allowed": " ".join(sorted(allowed)), "right": verdict in allowed, **numbers}


def cells(name: str, faults: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of one network with each of some faults: at initialisation, and after training that reduced the loss."""
    network, sound, left = NETWORKS[name], None, 0.0
    for fault in faults:
        model = mutated(name, fault)
        if model is None:
            yield {"fault": fault, "when": "init", "said": ""}
            continue
        first = {"fault": fault, "when": "init", **judged(name, model, 1)}
        if first["said"] == "raises":
            yield first
            continue
        if fault in LATE:
            if sound is None:
                sound = mutated(name, "sound")
                left = train(sound, network, adam(sound, network))
            model = copy.deepcopy(sound)
        else:
            left = train(model, network, adam(model, network))
        first["left"] = f"{left:.2g}"
        if left < 0.5:
            if fault in LATE:
                with torch.random.fork_rng(devices=[]):
                    MUTATIONS[fault](model, network)
            yield first | {"learns": f"Adam {network.lr:g}"}
            yield {"fault": fault, "when": "trained", **judged(name, model, 1000)}
        elif first["allowed"] in {"nan", "disconnected", "dead"}:
            yield first
        else:
            yield first | {"learns": learns(lambda fault=fault: mutated(name, fault), network) or "no"}


def tables(rows: list[dict[str, str]]) -> str:
    """A table for each time: networks down, faults across; a verdict in bold is not what is true."""
    text = []
    for when in ("init", "trained"):
        text += [f"| {when} | {' | '.join(MUTATIONS)} |", "| --- |" + " --- |" * len(MUTATIONS)]
        found = {(row["network"], row["fault"]): row for row in rows if row["when"] == when}
        for name in NETWORKS:
            cells = [shown(found.get((name, fault))) for fault in MUTATIONS]
            text.append(f"| {name} | {' | '.join(cells)} |")
        text.append("")
    return "\n".join(text)


def shown(row: dict[str, str] | None) -> str:
    if row is None or not row["said"]:
        return ""
    word = SHORT.get(row["said"], row["said"])
    number = f" {float(row['fall']):.1f}" if row["fall"] and row["said"] not in {"nan", "disconnected", "dead"} else ""
    return f"{word}{number}" if row["right"] == "True" else f"**{word}**{number}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cells", type=Path)
    parser.add_argument("--only", nargs="*", default=list(NETWORKS))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = list(csv.DictReader(options.cells.open())) if options.cells.exists() else []
    if options.table:
        print(tables(rows))
        return
    done = {(row["network"], row["fault"]) for row in rows}
    with options.cells.open("a", newline="") as file:
        writer = csv.DictWriter(file, list[str](COLUMNS))
        if not rows:
            writer.writeheader()
        for name in options.only:
            began = time.perf_counter()
            for row in cells(name, [fault for fault in MUTATIONS if (name, fault) not in done]):
                writer.writerow({"network": name, **row})
                file.flush()
                if row.get("right") is False:
                    print(f"{name}: {row}", flush=True)
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
