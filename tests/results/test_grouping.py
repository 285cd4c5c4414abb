import pandas as pd

from vgexp.results.grouping import conditions, groups


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


def test_groups_are_seeds_of_one_condition():
    assert conditions(table()) == ["init.name", "init.sigma_w"]
    found = groups(table())
    assert {name: list(runs["run"]) for name, runs in found.items()} == {
        "he": ["a", "b"],
        "lecun, sigma_w 0.5": ["c", "d"],
    }
