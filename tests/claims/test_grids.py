import numpy as np
import pandas as pd
import pytest

import vgexp
from vgexp.claims.grids import Grid
from vgexp.claims.statements import Missing

HE, LECUN = (Grid("g", {"init.name": name}) for name in ("he", "lecun"))


@pytest.fixture(scope="module")
def trained():
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


@pytest.fixture
def results(trained):
    """A copy whose tables a test may change."""
    copy = trained.select(list(trained.runs["run"]))
    copy.grids["g"] = list(trained.grids["g"])
    for name, table in copy.tables().items():
        setattr(copy, name, table.copy())
    return copy


def of(table, results, init, seed):
    """The rows of one run."""
    runs = results.runs
    (run,) = runs.loc[(runs["init.name"] == init) & (runs["seed"] == seed), "run"]
    return table["run"] == run


def test_layers_are_labelled_by_seed_step_and_layer(results):
    x = HE.layers(results, "h_std")
    assert x.dims == ("seed", "step", "layer")
    assert [list(x[dim].values) for dim in x.dims] == [[0, 1, 2], [0, 2, 4, 6], [1, 2, 3]]
    table = results.layers[of(results.layers, results, "he", 1)].set_index(["step", "layer"])["h_std"]
    for step in (0, 4):
        for layer in (1, 3):
            assert x.sel(seed=1, step=step, layer=layer) == table[step, layer]
    assert list(HE.layers(results, "dz_rms", readout=True)["layer"].values) == [1, 2, 3, 4]


def test_steps_are_those_at_which_the_column_was_recorded(results):
    error = HE.steps(results, "test_error")
    assert list(error["step"].values) == [0, 3, 6]
    table = results.steps[of(results.steps, results, "he", 2)].set_index("step")["test_error"]
    np.testing.assert_array_equal(error.sel(seed=2), table[[0, 3, 6]])


def test_runs_have_one_value_a_seed(results):
    seconds = LECUN.runs(results, "seconds")
    for seed in range(3):
        assert seconds.sel(seed=seed) == results.runs.loc[of(results.runs, results, "lecun", seed), "seconds"].item()
    assert list(LECUN.table(results)["seed"]) == [0, 1, 2]


def test_lists_get_a_dimension_of_their_own(results):
    spectra = LECUN.spectra(results)
    assert spectra.dims == ("seed", "step", "layer", "rank")
    rows = results.spectra[of(results.spectra, results, "lecun", 1)].set_index(["step", "layer"])["singular_values"]
    np.testing.assert_array_equal(spectra.sel(seed=1, step=6, layer=2), rows[6, 2])
    h = HE.histograms(results, "h").sel(seed=0, step=6, layer=3)
    rows = results.histograms[of(results.histograms, results, "he", 0)].set_index(["quantity", "step", "layer"])
    np.testing.assert_array_equal(h.density, rows.loc[("h", 6, 3), "density"])
    np.testing.assert_array_equal([*h.left.values, h.right.values[-1]], rows.loc[("h", 6, 3), "edges"])


def test_a_part_of_each_layer_is_chosen_by_name(results):
    plain = HE.layers(results, "w_rms")
    results.layers["part"] = ""
    results.layers = pd.concat([results.layers, results.layers.assign(part="gate", w_rms=0.5)])
    assert HE.layers(results, "w_rms").identical(plain)
    assert (HE.layers(results, "w_rms", part="gate") == 0.5).all()
    with pytest.raises(KeyError, match="'gates' is no part of these layers, which have '', 'gate'"):
        HE.layers(results, "w_rms", part="gates")


def test_seeds_pair_by_label(results):
    he = HE.layers(results, "dz_rms").sel(seed=[0, 2])
    lecun = LECUN.layers(results, "dz_rms").sel(seed=[0, 1])
    ratio = he / lecun
    assert list(ratio["seed"].values) == [0]
    np.testing.assert_array_equal(ratio.sel(seed=0), he.sel(seed=0).values / lecun.sel(seed=0).values)
    with pytest.raises(Missing, match=r"no seed in common: \[2\] and \[1\]"):
        he.sel(seed=[2]) - lecun.sel(seed=[1])


@pytest.mark.parametrize("dim", ["step", "layer"])
def test_all_other_labels_must_be_equal(results, dim):
    he, lecun = HE.layers(results, "h_std"), LECUN.layers(results, "h_std")
    with pytest.raises(ValueError, match=rf"{dim}: \[.*\] and \[.*\] are not the same labels"):
        he / lecun.isel({dim: slice(1, None)})
    with pytest.raises(KeyError):
        he.sel({dim: 9})


def test_runs_that_differ_in_more_than_their_seed_do_not_count_as_seeds(results):
    with pytest.raises(ValueError, match=r"grid g has runs of several init.name \(.*\): say which in `where`"):
        Grid("g").layers(results, "h_std")
    results.runs.loc[of(results.runs, results, "he", 1), "memory"] = "checkpoint"
    with pytest.raises(ValueError, match=r"several memory \(store, checkpoint\)"):
        HE.runs(results, "seconds")
    assert list(Grid("g", {"init.name": "he", "memory": "store"}).runs(results, "seconds")["seed"].values) == [0, 2]


def test_gaps_are_refused_unless_they_are_wanted(results):
    early = of(results.layers, results, "he", 1) & (results.layers["step"] > 2)
    results.layers = results.layers[~early]
    said = "h_std of the grid g is missing or not a number at seed 1, step 4, layer 1"
    with pytest.raises(Missing, match=said):
        HE.layers(results, "h_std")
    x = HE.layers(results, "h_std", gaps=True)
    assert x.sel(seed=1, step=[4, 6]).isnull().all() and x.isnull().sum() == 6
    # One that is not a number would be left out when layers are reduced.
    results.layers.loc[of(results.layers, results, "lecun", 2) & (results.layers["layer"] == 2), "h_std"] = np.nan
    with pytest.raises(Missing, match="seed 2, step 0, layer 2"):
        LECUN.layers(results, "h_std")


def test_unknown_names_raise_with_the_nearest():
    with pytest.raises(ValueError, match=r"model\.dept is no config field: the nearest is model\.depth"):
        Grid("g", {"model.dept": 3})


def test_unknown_columns_raise_with_the_nearest(results):
    with pytest.raises(KeyError, match="h_sdt is no column of this table: the nearest is h_std"):
        HE.layers(results, "h_sdt")


def test_what_was_not_run_or_recorded_is_said(results):
    with pytest.raises(Missing, match="the grid elsewhere is not part of what was run here"):
        Grid("elsewhere").table(results)
    with pytest.raises(Missing, match="no finished runs of orthogonal in the grid g"):
        Grid("g", {"init.name": "orthogonal"}).layers(results, "h_std")
    results.left_out["mnist_tanh"] = "mnist is not on this computer (vgexp data fetch mnist)"
    with pytest.raises(Missing, match="mnist is not on this computer"):
        Grid("mnist_tanh").runs(results, "seconds")
    results.spectra = results.spectra[:0]
    with pytest.raises(Missing, match="no singular_values in the grid g"):
        HE.spectra(results)
    results.layers["forward_ms"] = np.nan
    with pytest.raises(Missing, match="no forward_ms in the grid g"):
        HE.layers(results, "forward_ms")
    results.runs.loc[of(results.runs, results, "he", 0), "status"] = "running"
    assert list(HE.table(results)["seed"]) == [1, 2]


def test_a_field_that_nothing_of_the_runs_reads_does_not_tell_them_apart(results):
    results.runs.loc[of(results.runs, results, "he", 1), "optim.momentum"] = 0.5
    assert list(HE.runs(results, "seconds")["seed"].values) == [0, 1, 2]


def test_a_field_that_is_not_set_is_chosen_by_none():
    results = vgexp.run("data=digits", "model.depth=2", "model.width=4", "steps=0", "optim.clip=null,0.5", "seed=0,1")
    results.grids["g"] = list(results.runs["run"])
    assert len(Grid("g", {"optim.clip": None}).table(results)) == 2
    assert len(Grid("g", {"optim.clip": 0.5}).table(results)) == 2
