import numpy as np
import pandas as pd
import pytest

from vgexp.papers.glorot2010 import tables


@pytest.fixture
def results(committed):
    return committed("glorot2010")


def of(runs, line):
    """The rows of runs that have what a line of the table of rates says."""
    return runs[np.logical_and.reduce([runs[field] == line[title] for field, title in tables.RATES.items()])]


def test_rates_are_means_of_three_evaluations_from_left_to_right(results):
    """Also where a later line has rates that the first has not."""
    rows = tables.rates(results).rows
    rates = [float(name.removeprefix("lr ")) for name in rows if name.startswith("lr ")]
    assert rates == sorted(rates) and list(rows) == [*tables.RATES.values(), *(f"lr {lr:g}" for lr in rates), "best"]
    grids = [id for name, ids in results.grids.items() if name.startswith("rates") for id in ids]
    runs = results.runs[results.runs["run"].isin(grids)]
    cells = 0
    for _, line in rows.iterrows():
        means = {}
        for _, run in of(runs, line).iterrows():
            error = results.steps[results.steps["run"] == run["run"]]["valid_error"].dropna()
            assert len(error) == 3
            means[run["optim.lr"]] = 100 * error.mean()
        assert {lr: line[f"lr {lr:g}"] for lr in rates} == {
            lr: f"{means[lr]:.1f}" if lr in means else "" for lr in rates
        }
        assert means[float(line["best"])] == min(means.values())
        cells += len(means)
    assert cells == len(runs)


def test_the_best_of_each_line_is_the_rate_of_its_row(results):
    ids = [id for name, ids in results.grids.items() if name != "faster_tanh" for id in ids]
    runs = results.runs[results.runs["run"].isin(ids) & (results.runs["steps"] == 100_000)]
    seen = set[str]()
    for _, line in tables.rates(results).rows.iterrows():
        row = of(runs, pd.Series(dict(line) | {"updates": 100_000}))
        assert set(row["optim.lr"]) <= {float(line["best"])}, dict(line)
        seen |= set(row["run"])
    assert seen == set(runs["run"])
