import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from samples import small

import vgexp
from vgexp.config.errors import ConfigError
from vgexp.results.columns import PROVENANCE, TABLES, TIMES
from vgexp.results.reading import read
from vgexp.results.tables import Results
from vgexp.results.writing import Store
from vgexp.training.loop import train


@pytest.fixture
def results():
    run = small(steps=2, probe__tier="full")
    train([run, replace(run, seed=1)], Store(Path("here")))
    return read("here")


def test_selecting_runs_selects_in_every_table(results):
    (first, _) = results.runs["run"]
    for name, table in results.select([first]).tables().items():
        assert set(table["run"]) == {first}, name
        assert len(table) == len(results.tables()[name]) / 2


def test_what_is_comparable_has_no_times_and_no_provenance(results):
    for name, table in results.comparable().items():
        assert not {*TIMES, *PROVENANCE} & set(table)
        assert table[list(TABLES[name].key)].equals(table[list(TABLES[name].key)].sort_values(list(TABLES[name].key)))
        pd.testing.assert_frame_equal(
            table,
            results.tables()[name]
            .sample(frac=1, random_state=0)[table.columns]
            .sort_values(list(TABLES[name].key), ignore_index=True),
        )


def test_what_is_selected_keeps_its_grids():
    """As `vgexp.run` returns it."""
    asked = ["experiment=theory", "scale=smoke", "data=digits", "model.depth=2", "model.width=8", "seed=0"]
    results = vgexp.run(*asked, "only=[norms,activations]")
    assert set(results.grids) == {"norms", "activations"}
    for name, runs in results.grids.items():
        assert sorted(results.grid(name).runs["run"]) == sorted(runs) and runs
    some = results.select(results.grids["norms"][:1])
    assert some.grids["norms"] == results.grids["norms"][:1] and len(some.grid("norms").runs) == 1


def test_a_grid_that_was_not_planned_has_no_runs(results):
    assert results.grid("nothing").runs.empty


def test_a_diverged_run_says_when():
    run = small(loss="quadratic", optim__lr=1e200)
    train([run, replace(run, optim=replace(run.optim, lr=0.01))], Store(Path("here")))
    diverged = read("here").runs.set_index("optim.lr")["diverged_at"]
    assert diverged.loc[1e200] >= 1
    assert pd.isna(diverged.loc[0.01])


def test_results_are_shown_in_one_line_and_in_notebooks_with_their_first_runs():
    results = vgexp.run("data=digits", "model.depth=2", "model.width=4", "steps=1", "seed=range(0,12)", "name='a<b'")
    assert repr(results) == "Results(results/a<b: 12 runs, 12 done)"
    shown = results._repr_html_()
    assert "a&lt;b" in shown and "a<b" not in shown
    assert shown.count("<tr") == 11 and all(run in shown for run in results.runs["run"][:10])
    assert "final_valid_error" in shown


def test_results_draw_themselves_with_the_choices_of_plot(results):
    """And load what draws only then."""
    asked = inspect.signature(vgexp.plot).parameters.values()
    assert list(inspect.signature(Results.plot).parameters.values())[1:] == list(asked)[1:]
    one = {"step": 2, "only": ["profile"]}
    drawn = results.plot(**one)
    pd.testing.assert_frame_equal(drawn["profile"].frame, vgexp.plot(results, **one)["profile"].frame)
    assert list(results.plot(x="step", y="train_loss")) == ["train_loss_over_step"]
    with pytest.raises(ConfigError, match="--only: got 'nothing'"):
        results.plot(only=["nothing"])
    code = "import sys, vgexp; vgexp.read('here'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"matplotlib", "vgexp.figures"} & set(loaded)


def test_rows_at_initialisation_and_groups_are_found_once(results, monkeypatch):
    asked, source = [], results.source
    monkeypatch.setattr(results, "source", SimpleNamespace(table=lambda *a: asked.append(a[3]) or source.table(*a)))
    assert results.plot(only=["profile"]) and len(results.initial) == len(results.runs) * 4
    assert asked == [[0]]
    assert results.groups() is results.groups() and list(results.groups()) == ["tanh"]
