import numpy as np
import pytest

import vgexp
from vgexp.claims.grids import Grid
from vgexp.papers import budget

G = Grid("g")


@pytest.fixture(scope="module")
def results():
    found = vgexp.run(
        "data=digits", "model.depth=2", "model.width=7", "steps=6", "probe=cost", "probe.every=1", "seed=1,0"
    )
    found.grids["g"] = list(found.runs["run"])
    return found


def test_flops_are_three_products_a_matrix_but_two_for_the_first(results):
    np.testing.assert_array_equal(budget.flops(G, results), [2 * 10 * (2 * 64 * 7 + 3 * 7 * 7 + 3 * 7 * 10)] * 2)


def test_memory_in_units_and_gigabytes(results):
    runs = results.runs.set_index("seed")
    for seed in (0, 1):
        assert budget.units(G, results).sel(seed=seed) * 64 * 64 * 4 == runs["live_bytes"][seed]
        assert budget.gigabytes(G, results).sel(seed=seed) * 1e9 == pytest.approx(runs["peak_bytes"][seed])


def test_times_are_medians_over_steps_of_sums_over_layers(results):
    forward, step = budget.milliseconds(G, results, "forward_ms"), budget.step_milliseconds(G, results)
    for _, run in results.runs.iterrows():
        rows = results.layers[(results.layers["run"] == run["run"]) & (results.layers["step"] > 0)]
        sums = rows.groupby("step")[["forward_ms", "backward_ms"]].sum().median()
        assert forward.sel(seed=run["seed"]) == pytest.approx(sums["forward_ms"])
        assert step.sel(seed=run["seed"]) == pytest.approx(sums.sum())
