import pandas as pd
from samples import small

from vgexp.config.rows import flat
from vgexp.results.grouping import conditions, groups
from vgexp.results.reading import stored


def table():
    return pd.DataFrame(
        {
            "run": ["a", "b", "c", "d"],
            "seed": [0, 1, 0, 1],
            "model.activation": "tanh",
            "model.depth": 5,
            "init.name": ["he", "he", "lecun", "lecun"],
            "init.sigma_w": [None, None, 0.5, 0.5],
            "probe.tier": ["full", "light", "full", "light"],
        }
    )


def test_what_a_run_was_watched_by_makes_no_further_seeds():
    """Runs of one seed that differ in memory or probe alone are two groups, not two seeds."""
    twice = pd.concat([table().assign(memory="store"), table().assign(memory="invert")], ignore_index=True)
    found = groups(twice)
    assert [list(runs["seed"]) for runs in found.values()] == [[0, 1]] * 4  # and the probe sets nothing apart
    assert list(found) == ["he, invert", "he, store", "lecun, sigma_w 0.5, invert", "lecun, sigma_w 0.5, store"]
    depths = pd.concat([table(), table().assign(**{"model.depth": 6, "memory": "invert"})])
    depths["memory"] = depths["memory"].fillna("store")
    assert list(groups(depths, besides="model.depth")) == ["he", "lecun, sigma_w 0.5"]


def test_two_folders_make_further_seeds_and_further_groups_where_a_seed_lies_in_both():
    a, b = table().assign(folder="a"), table().assign(folder="b")
    assert conditions(pd.concat([a, b.assign(seed=b["seed"] + 2)])) == ["init.name", "init.sigma_w"]
    assert conditions(pd.concat([a, b])) == ["init.name", "init.sigma_w", "folder"]


def test_groups_are_seeds_of_one_condition():
    assert conditions(table()) == ["init.name", "init.sigma_w"]
    found = groups(table())
    assert {name: list(runs["run"]) for name, runs in found.items()} == {
        "he": ["a", "b"],
        "lecun, sigma_w 0.5": ["c", "d"],
    }


def test_labels_leave_out_what_runs_do_not_read():
    runs = pd.DataFrame(
        [
            stored(flat(small(model__family=family, model__norm=norm, model__gate_bias=bias))) | {"run": str(number)}
            for number, (family, norm, bias) in enumerate(
                [
                    ("plain", "none", -2.0),
                    ("plain", "layer", -2.0),
                    ("highway", "none", -1.0),
                    ("highway", "none", -3.0),
                ]
            )
        ]
    )
    assert list(groups(runs)) == ["highway, gate_bias -3", "highway, gate_bias -1", "plain, layer", "plain, none"]


def described(*changes):
    return pd.DataFrame([stored(flat(small(**change))) | {"run": str(number)} for number, change in enumerate(changes)])


def test_no_run_is_lost_where_two_conditions_have_the_same_words():
    """A law's own scale, said and not said, is one condition; numbers that differ in the seventh digit are two."""
    own = [{"seed": seed, "init__sigma_w": 1.0 if seed > 1 else None} for seed in range(5)]
    found = groups(described(*own, {"model__family": "highway"}, {"model__family": "highway", "seed": 1}))
    assert {label: list(runs["seed"]) for label, runs in found.items()} == {"highway": [0, 1], "plain": [*range(5)]}
    close = groups(described({"init__sigma_w": 1.327}, {"init__sigma_w": 1.3270001}))
    assert list(close) == ["init.sigma_w 1.327", "init.sigma_w 1.3270001"]
    assert [len(runs) for runs in close.values()] == [1, 1]


def test_one_run_that_is_there_twice_is_two_groups():
    twice = described({}, {"init__sigma_w": 1.0}).assign(folder=["a", "b"])
    assert sorted(list(runs["folder"]) for runs in groups(twice).values()) == [["a"], ["b"]]
