import numpy as np
import pandas as pd
import pytest

import vgexp
from vgexp.claims.measures import (
    Selection,
    bottom_over_top,
    difference,
    each,
    first_step,
    layer,
    log_slope,
    ratio,
    spread,
)
from vgexp.claims.statements import Missing
from vgexp.results.store import Results


@pytest.fixture
def results():
    """Three seeds of two initialisers, trained a little, as the grid `g`."""
    found = vgexp.run(
        "data=digits",
        "model.depth=3",
        "model.width=7",
        "steps=6",
        "probe=full",
        "probe.on=monitor",
        "probe.every=2",
        "eval.every=3",
        "seed=2,0,1",
        "init.name=he,lecun",
    )
    found.grids["g"] = list(found.runs["run"])
    return found


def row(results, run, step, layer):
    table = results.layers
    return table[(table["run"] == run) & (table["step"] == step) & (table["layer"] == layer)].iloc[0]


def test_profiles_have_seeds_in_order_and_hidden_layers_only(results):
    he = Selection("g", {"init.name": "he"})
    assert list(he.runs(results)["seed"]) == [0, 1, 2]
    x_SL = he.at("h_std")(results)
    assert x_SL.shape == (3, 3)
    assert x_SL[1, 1] == row(results, he.ids(results)[1], step=0, layer=2)["h_std"]
    assert he.at("h_std", None)(results)[2, 0] == row(results, he.ids(results)[2], step=6, layer=1)["h_std"]


def test_tracks_and_pools(results):
    he = Selection("g", {"init.name": "he"})
    steps_T, values_STL = he.track("dw_rms", results)
    np.testing.assert_array_equal(steps_T, [0, 2, 4, 6])
    assert values_STL.shape == (3, 4, 3)
    np.testing.assert_array_equal(values_STL[:, 0], he.at("dw_rms")(results))
    np.testing.assert_allclose(he.pooled("dw_rms", 4)(results), np.sqrt((values_STL[:, 2:] ** 2).mean(1)))
    with pytest.raises(Missing, match="no observation from step 7 on"):
        he.pooled("dw_rms", 7)(results)


def test_curves_and_final_values(results):
    he = Selection("g", {"init.name": "he"})
    steps_T, error_ST = he.curve("test_error", results)
    np.testing.assert_array_equal(steps_T, [0, 3, 6])
    np.testing.assert_allclose(he.final("test_error", 2)(results), error_ST[:, 1:].mean(1))


def test_mass_of_a_histogram_counts_the_entries(results):
    he = Selection("g", {"init.name": "he"})
    everything = he.mass(0, np.inf, 1)(results)
    np.testing.assert_allclose(everything, 1)
    parts = he.mass(0, 0.3, 1)(results) + he.mass(0.3, 100, 1)(results)
    np.testing.assert_allclose(parts, 1)
    # A uniform density on [-1, 1]: |x| in (0.5, 0.8] holds 0.3 of it.
    flat = pd.DataFrame({"run": ["a"], "step": [0], "layer": [1], "quantity": ["h"]})
    flat["edges"], flat["density"] = [list(np.linspace(-1, 1, 8))], [[0.5] * 7]
    runs = pd.DataFrame({"run": ["a"], "seed": [0], "steps": [0], "status": ["done"]})
    empty = pd.DataFrame({"run": []})
    one = Results(runs, empty, empty, flat, empty, [], grids={"g": ["a"]})
    assert Selection("g").mass(0.5, 0.8, 1)(one) == pytest.approx([0.3])


def test_spectra(results):
    lecun = Selection("g", {"init.name": "lecun"})
    means = lecun.spectrum_mean()(results)
    spectra = results.spectra[results.spectra["run"] == lecun.ids(results)[1]]
    spectra = spectra[spectra["step"] == 0]["singular_values"]
    assert means[1] == pytest.approx(np.mean([np.mean(values) for values in spectra]))


def test_totals_and_times():
    found = vgexp.run(
        "data=digits", "model.depth=2", "model.width=7", "steps=6", "probe=cost", "probe.every=1", "seed=1,0"
    )
    found.grids["g"] = list(found.runs["run"])
    g = Selection("g")
    assert list(g.total("forward_flops")(found)) == [2 * 10 * (64 * 7 + 7 * 7 + 7 * 10)] * 2
    with pytest.raises(Missing, match="no rebuild_flops in the grid g"):
        g.total("rebuild_flops")(found)
    rows = found.layers[(found.layers["run"] == g.ids(found)[0]) & (found.layers["step"] > 0)]
    assert g.milliseconds("forward_ms")(found)[0] == rows.groupby("step")["forward_ms"].sum().median()
    assert (
        g.largest("z_rms")(found)[1] == found.layers.query("step == 0").groupby("run")["z_rms"].max()[g.ids(found)[1]]
    )


def test_ratios_and_differences_are_paired_by_seed(results):
    he, lecun = (each(Selection("g", {"init.name": name}).at("h_std"), layer(-1)) for name in ("he", "lecun"))
    np.testing.assert_allclose(ratio(he, lecun)(results), he(results) / lecun(results))
    np.testing.assert_allclose(difference(he, lecun)(results), he(results) - lecun(results))


def test_sets_of_different_seeds_are_not_paired(results):
    he, lecun = (Selection("g", {"init.name": name}) for name in ("he", "lecun"))
    results.runs.loc[(results.runs["init.name"] == "he") & (results.runs["seed"] == 1), "status"] = "running"
    with pytest.raises(Missing, match="2 and 3 seeds: they cannot be paired"):
        ratio(he.total("seed"), lecun.total("seed"))(results)


def test_shapes_of_a_profile():
    x_SL = np.array([[1.0, 2.0, 4.0], [9.0, 3.0, 1.0]])
    np.testing.assert_allclose(spread(x_SL), [4, 9])
    np.testing.assert_allclose(bottom_over_top(x_SL), [0.25, 9])
    np.testing.assert_allclose(log_slope(x_SL), [np.log(2), -np.log(3)])


def test_first_step():
    reached_ST = np.array([[False, True, True], [False, False, False]])
    np.testing.assert_array_equal(first_step(np.array([0, 5, 10]), reached_ST), [5, np.inf])


def test_what_is_not_there_is_said(results):
    with pytest.raises(Missing, match="the grid elsewhere is not part of what was run here"):
        Selection("elsewhere").runs(results)
    with pytest.raises(Missing, match="no finished runs of orthogonal in the grid g"):
        Selection("g", {"init.name": "orthogonal"}).runs(results)
    results.left_out["mnist_tanh"] = "mnist is not on this computer (vgexp data fetch mnist)"
    with pytest.raises(Missing, match="mnist is not on this computer"):
        Selection("mnist_tanh").runs(results)
