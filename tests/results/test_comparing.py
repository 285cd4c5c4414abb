from pathlib import Path

import numpy as np
import pytest

import vgexp
from vgexp.results.comparing import compare, short_names
from vgexp.results.errors import ResultsError
from vgexp.results.grouping import groups

QUICK = ("data=digits", "model.depth=2", "model.width=4", "steps=2")


def test_seeds_of_two_folders_are_seeds_of_one_group():
    vgexp.run(*QUICK, "seed=0,1", "name=a")
    vgexp.run(*QUICK, "seed=2", "name=b")
    results = compare("results/a", "results/b")
    (runs,) = groups(results.runs).values()
    assert sorted(runs["seed"]) == [0, 1, 2]
    assert set(results.planned) == set(results.runs["run"])


def test_a_run_in_both_folders_is_there_twice():
    vgexp.run(*QUICK, "seed=0,1", "name=a")
    vgexp.run(*QUICK, "seed=1,2", "name=b")
    a, b = vgexp.read("results/a"), vgexp.read("results/b")
    results = compare("results/a", "results/b")
    assert len(results.runs) == 4
    assert len(vgexp.read("results/a", "results/b").runs) == 3
    found = groups(results.runs)
    assert {name: sorted(runs["seed"]) for name, runs in found.items()} == {"a": [0, 1], "b": [1, 2]}
    for name, one in (("a", a), ("b", b)):
        mine = results.select(list(results.runs.loc[results.runs["folder"] == name, "run"]))
        for table in ("layers", "steps"):
            theirs = getattr(one, table).sort_values(["run", "step"], kind="stable")
            ours = getattr(mine, table).assign(run=getattr(mine, table)["run"].str.partition("@")[0])
            ours = ours.sort_values(["run", "step"], kind="stable")
            np.testing.assert_array_equal(ours["run"], theirs["run"])
            np.testing.assert_array_equal(ours.filter(like="_rms"), theirs.filter(like="_rms"))
    assert len(results.planned) == 4 and set(results.planned) == set(results.runs["run"])


def test_one_folder_given_twice_is_one():
    vgexp.run(*QUICK, "name=a")
    assert list(compare("results/a", "./results/../results/a").runs["folder"]) == ["results/a"]
    with pytest.raises(ResultsError, match="nowhere: no results here"):
        compare("results/a", "nowhere")


def test_folders_are_named_by_what_tells_them_apart():
    assert short_names([Path("results/x/small"), Path("results/x/smoke")]) == ["small", "smoke"]
    assert short_names([Path("/p/a/results/s"), Path("/q/a/results/s")]) == ["p", "q"]
    assert short_names([Path("a/b/c"), Path("a/d/c"), Path("a/d/e")]) == ["b/c", "d/c", "d/e"]
    assert short_names([Path("a"), Path("a/b")]) == ["a", "a/b"]
