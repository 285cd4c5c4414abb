import shlex

import numpy as np
import pytest

import vgexp
from vgexp.pages import facts as module
from vgexp.pages.facts import facts
from vgexp.pages.packing import Numbers


@pytest.fixture
def results():
    return vgexp.run("data=digits", "model.depth=3,5", "model.width=8", "steps=4", "probe.every=2", "seed=0,1")


class Kept(Numbers):
    """Numbers that can be read back."""

    def __init__(self):
        super().__init__()
        self.all = []

    def add(self, values):
        self.all += np.asarray(values, dtype=float).ravel().tolist()
        return super().add(values)


def test_every_number_is_where_it_is_said_to_be(results):
    numbers = Kept()
    found = facts(results, numbers)
    assert [run["id"] for run in found["runs"]] and {run["id"] for run in found["runs"]} == set(results.runs["run"])
    for run in found["runs"]:
        profiles, mine = run["profiles"], results.layers[results.layers["run"] == run["id"]]
        assert profiles["steps"] == [0, 2, 4] and profiles["layers"] == run["depth"]
        for column, at in profiles["at"].items():
            rows = mine[mine["layer"] <= run["depth"]].sort_values(["step", "layer"])
            np.testing.assert_array_equal(numbers.all[at : at + 3 * run["depth"]], rows[column])
        at = run["curves"]["at"]["train_loss"]
        rows = results.steps[results.steps["run"] == run["id"]].sort_values("step")
        np.testing.assert_array_equal(numbers.all[at : at + len(rows)], rows["train_loss"])
    for group in found["groups"]:
        place, length = group["theory"]["dz_rms"]
        assert length == group["depth"] and min(numbers.all[place : place + length]) > 0
        assert group["verdict"] == "healthy" and group["factor"] == pytest.approx(1, abs=0.3)


def test_what_differs_are_the_fields_and_runs_of_one_group_differ_in_their_seed(results):
    found = facts(results, Numbers())
    assert found["fields"] == ["model.depth"]
    assert [group["depth"] for group in found["groups"]] == [3, 5]
    assert sorted((run["group"], run["seed"]) for run in found["runs"]) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_the_command_of_a_run_makes_that_run(results):
    for run in facts(results, Numbers())["runs"]:
        program, command, *overrides = shlex.split(run["command"])
        assert (program, command) == ("vgexp", "train")
        [again] = vgexp.run(*overrides, "name=again").runs["run"]
        assert again == run["id"]


def test_gaps_are_filled_and_runs_without_rows_have_nothing(results):
    [first, second, *_] = results.runs["run"]
    layers = results.layers
    results.layers = layers[
        (layers["run"] != second) & ~((layers["run"] == first) & (layers["step"] == 2) & (layers["layer"] == 1))
    ]
    numbers = Kept()
    runs = {run["id"]: run for run in facts(results, numbers)["runs"]}
    assert runs[second]["profiles"] is None
    at, depth = runs[first]["profiles"]["at"]["dz_rms"], runs[first]["depth"]
    assert np.isnan(numbers.all[at + depth]) and np.isfinite(numbers.all[at])


def test_what_a_page_leaves_out_it_says(monkeypatch):
    """Theory network by network, distributions run by run: never half a run's."""
    results = vgexp.run("data=digits", "model.depth=2,3", "model.width=8", "steps=0", "probe=full", "seed=0,1")

    def place(one):
        return [one[key] for key in ("run", "step", "layer", "quantity")]

    whole = facts(results, Numbers())
    there = whole["distributions"]
    assert {one["quantity"] for one in there} == {"h", "dz", "dw", "spectrum"}
    assert whole["left_out"] == [] and not any(run["left_out"] for run in whole["runs"])

    first, *others = whole["runs"]
    mine = [one for one in there if one["run"] == first["id"]]
    size = sum(one[name][1] for one in mine for name in module.SERIES if name in one)
    monkeypatch.setattr(module, "DISTRIBUTED", size + 1)
    monkeypatch.setattr(module, "THEORIES", 1)
    cut = facts(results, Numbers())
    assert [place(one) for one in cut["distributions"]] == [place(one) for one in mine]
    assert [run["left_out"] for run in cut["runs"]] == [False] + [True] * len(others)
    assert ["theory" in group for group in cut["groups"]] == [True, False]
    assert cut["left_out"] == [
        "Theory is computed for the first 1 of 2 networks.",
        f"{len(there) - len(mine)} histograms and spectra are left out, those of 3 of 4 runs.",
    ]
    monkeypatch.setattr(module, "DISTRIBUTED", size - 1)
    assert facts(results, Numbers())["distributions"] == []


@pytest.mark.parametrize(("columns", "there"), [(0, 1), (1, 1), (2, 2), (99, 9)])
def test_quantities_beyond_what_a_page_carries_are_left_out_of_all_runs(columns, there, results, monkeypatch):
    depths = results.runs.set_index("run")["model.depth"]
    rows = results.layers[results.layers["layer"] <= results.layers["run"].map(depths)]
    monkeypatch.setattr(module, "PROFILED", columns * len(rows))
    found, kept = facts(results, Numbers()), [*module.FIRST[:2]]
    assert len(found["columns"]) == there
    assert all(list(run["profiles"]["at"]) == list(found["columns"]) for run in found["runs"])
    if there < 9:
        assert list(found["columns"]) == kept[:there]
        [sentence] = found["left_out"]
        assert sentence.startswith("Profiles are left out of: ") and sentence.count("(") >= 9 - there
    else:
        assert found["left_out"] == []


def test_every_distribution_is_where_it_is_said_to_be():
    results = vgexp.run("data=digits", "model.depth=3", "model.width=8", "steps=0", "probe=full", "seed=0,1")
    numbers = Kept()

    def read(place):
        return numbers.all[place[0] : sum(place)]

    for one in facts(results, numbers)["distributions"]:
        table = results.spectra if one["quantity"] == "spectrum" else results.histograms
        rows = table[(table["run"] == one["run"]) & (table["step"] == one["step"]) & (table["layer"] == one["layer"])]
        if one["quantity"] == "spectrum":
            assert read(one["singular_values"]) == list(rows["singular_values"].item())
        else:
            row = rows[(rows["quantity"] == one["quantity"]) & (rows["part"] == "")].squeeze()
            assert read(one["edges"]) == list(row["edges"]) and read(one["density"]) == list(row["density"])


def test_of_a_large_sweep_some_runs_are_explored_and_all_are_listed(monkeypatch):
    """The first seeds of networks that are evenly spaced; what is said of a group is of all its runs."""
    rates = ",".join(str(rate / 100) for rate in range(1, 8))
    grid = ("model.depth=5", "model.width=8", f"optim.lr={rates}", "seed=0,1,2", "steps=4")
    results = vgexp.run("data=digits", *grid)
    whole = facts(results, Numbers())
    assert whole["left_out"] == [] and all(run["profiles"] and run["curves"] for run in whole["runs"])

    monkeypatch.setattr(module, "MARKS", 20)  # 4 networks of 5 layers, and curves of 5 steps
    monkeypatch.setattr(module, "EXPLORED", 9)  # 2 seeds of each
    some = facts(vgexp.read(*results.folders), Numbers())
    explored = [run for run in some["runs"] if run["profiles"]]
    assert sorted((run["group"], run["seed"]) for run in explored) == [(g, s) for g in (0, 2, 4, 6) for s in (0, 1)]
    assert [run["id"] for run in some["runs"]] == [run["id"] for run in whole["runs"]]
    assert all((run["curves"] is None) == (run["profiles"] is None) for run in some["runs"])
    assert [group["fall"] for group in some["groups"]] == [group["fall"] for group in whole["groups"]]
    assert ["theory" in group for group in some["groups"]] == [place % 2 == 0 for place in range(7)]
    [sentence] = some["left_out"]
    assert sentence.startswith("Of 21 runs 8 can be explored: the first seeds of 4 of 7 networks, evenly spaced.")

    monkeypatch.setattr(module, "MARKS", 12)  # 2 networks, and curves of 6 steps
    assert len(facts(results, Numbers())["left_out"]) == 1
    monkeypatch.setattr(module, "MARKS", 6)  # one network
    monkeypatch.setattr(module, "EXPLORED", 1)
    one = facts(results, Numbers())
    assert [(run["group"], run["seed"]) for run in one["runs"] if run["profiles"]] == [(0, 0)]


def test_curves_of_many_steps_are_thinned_and_it_is_said(results, monkeypatch):
    monkeypatch.setattr(module, "MARKS", 10)  # 2 networks of 5 layers
    long = vgexp.run(
        "data=digits", "model.depth=2", "model.width=8", "optim.lr=0.1,0.2,0.3,0.4", "steps=20", "probe.every=2"
    )
    found = facts(long, Numbers())
    assert all(run["curves"]["steps"] == [0, 20] and len(run["profiles"]["steps"]) == 11 for run in found["runs"])
    assert found["left_out"] == ["Curves have 2 of 11 steps, evenly spaced."]
    assert facts(results, Numbers())["left_out"] == []


def test_of_many_runs_the_columns_that_a_page_has_room_for_are_as_if_all_were_read(results, monkeypatch):
    monkeypatch.setattr(module, "PROFILED", 100)
    found = []
    for looked_at in (100, 1):
        monkeypatch.setattr(module, "LOOKED_AT", looked_at)
        numbers = Kept()
        found.append((facts(vgexp.read(*results.folders), numbers), list(map(str, numbers.all))))
    assert found[0] == found[1]
    assert len(found[0][0]["columns"]) == 2 and "Profiles are left out of: " in found[0][0]["left_out"][-1]
