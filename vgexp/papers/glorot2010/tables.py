"""The tables of Glorot & Bengio (2010): table 1, and the learning rates behind ours."""

from collections.abc import Callable

import pandas as pd

from vgexp.claims import Grid, Missing
from vgexp.config import counted
from vgexp.figures import Table
from vgexp.papers.glorot2010.errors import PAPER_ERRORS
from vgexp.papers.glorot2010.measures import LAST, ROWS, SHORT, finite, percent, until
from vgexp.results import Results, estimate

PAPER_TABLE = {
    "Softsign": (16.27, 1.64, 55.78, 69.14),
    "Softsign N": (16.06, 1.72, 53.8, 68.13),
    "Tanh": (27.15, 1.76, 55.9, 70.58),
    "Tanh N": (15.60, 1.64, 52.92, 68.57),
    "Sigmoid": (82.61, 2.21, 57.28, 70.66),
}
"""Table 1: Shapeset-3x2, MNIST, CIFAR-10, Small-ImageNet, each after 2.5 million updates."""


RATES = {
    "data.name": "data",
    "data.range": "pixels",
    "model.activation": "activation",
    "model.depth": "depth",
    "init.name": "init",
    "steps": "updates",
}
"""What a row of the table of rates has in common, and what its columns are called."""


def table1(results: Results) -> Table:
    """Table 1: the paper's error after 2.5 million updates, ours with its interval and after how many.

    Raises Missing where none of its runs was planned.
    """
    columns = {"Shapeset-3x2": ROWS} | {
        title: {name: finite(data, name) for name in ROWS}
        for title, data in (("MNIST", "mnist"), ("CIFAR-10", "cifar10"), ("digits", "digits"))
    }
    if not any(row.name in results.grids for rows in columns.values() for row in rows.values()):
        raise Missing("none of its grids is part of what was run here")
    made = []
    for name, paper in PAPER_TABLE.items():
        row: dict[str, str] = {"": name}
        for number, (title, rows) in enumerate(columns.items()):
            if title != "digits":
                row[f"{title}: paper"] = f"{paper[number]:.2f}"
            row[f"{title}: ours" if title != "digits" else "digits (ours)"] = _cell(rows[name], results)
        made.append(row)
    return Table(
        pd.DataFrame(made),
        "Table 1 of the paper: test error in per cent with five hidden layers, the paper's after 2.5 million "
        f"updates, ours as mean of the last {LAST} evaluations with its 95 % interval over seeds, and after "
        "how many updates. Small-ImageNet was never published; digits is ours.",
    )


def rates(results: Results) -> Table:
    """Validation error by learning rate, and the rate that each row of table 1 was given."""
    made, tried = [], set[float]()
    for row in ("rates", "rates_sigmoid", "rates_mnist", "rates_mnist_sigmoid"):
        runs = Grid(row).table(results) if row in results.grids else pd.DataFrame()
        for key, group in runs.groupby(list(RATES)) if len(runs) else ():
            line = dict(zip(RATES.values(), key, strict=True))
            found = {}
            for _, run in group.iterrows():
                steps = results.steps[results.steps["run"] == run["run"]]
                found[run["optim.lr"]] = (100 * steps["valid_error"].mean(), steps["valid_loss"].mean())
            best = min(found, key=lambda lr: found[lr])
            tried |= found.keys()
            errors = {f"lr {lr:g}": f"{error:.1f}" for lr, (error, _) in found.items()}
            made.append(line | errors | {"best": f"{best:g}"})
    if not made:
        raise Missing("no finished runs in the grid rates")
    return Table(
        pd.DataFrame(made, columns=[*RATES.values(), *(f"lr {lr:g}" for lr in sorted(tried)), "best"]).fillna(""),
        "Learning rates: validation error in per cent, mean of three evaluations (1 seed), ties by loss. The best of "
        "each line is the rate of the runs above. The classes' frequencies alone give 83.3 on Shapeset, about 89 on "
        "MNIST: where all of a line lie there, its best is chance.",
    )


def course(results: Results) -> Table:
    """Test errors after 100,000 updates and at the end of longer runs, beside the paper's curves.

    Raises Missing where no row of table 1 goes on.
    """
    made = []
    for name, grid in ROWS.items():
        try:
            updates = int(grid.runs(results, "steps")[0])
        except Missing:
            continue
        if updates <= SHORT:
            continue
        row: dict[str, str] = {"": name}
        for step in (SHORT, updates):
            read = PAPER_ERRORS.get(10 * step, {})
            row[f"{step:,} updates: paper"] = f"{100 * read[name]:.1f}" if name in read else ""
            row[f"{step:,} updates: ours"] = _cell(grid, until(results, step))
        made.append(row)
    if not made:
        raise Missing(f"no runs of more than {SHORT:,} updates")
    return Table(
        pd.DataFrame(made).fillna(""),
        f"Test error in per cent on Shapeset after {SHORT:,} updates and at the end of the same runs; the paper's is "
        f"read off figure 11, ours the mean of the last {LAST} evaluations with its 95 % interval over seeds.",
    )


def _cell(grid: Grid, results: Results) -> str:
    try:
        found = estimate(percent(grid, results).to_numpy())
        updates = int(grid.steps(results, "test_error")["step"].max())
    except Missing as reason:
        return f"not measured: {reason}"
    return f"{found:.2f} ({counted(found.seeds, 'seed')}, {updates:,} updates)"


TABLES: dict[str, Callable[[Results], Table]] = {"table1": table1, "course": course, "rates": rates}
