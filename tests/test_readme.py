"""What the README says in numbers is what the tool says."""

import re
from pathlib import Path

import pytest

from vgexp.experiments.comparison import compare
from vgexp.experiments.prediction import predict

README = (Path(__file__).parents[1] / "README.md").read_text()
ROWS = re.findall(r"^\| `((?:plain|residual|highway|dense|reversible)[^`]*)` \|.*\| ([0-9.]+) \|$", README, re.M)
SHARED = ["data=digits", "data.batch_size=64", "loss=cotangent", "model.depth=30", "init.name=standard"]


def test_the_table_has_every_family():
    assert {config.split()[0] for config, _ in ROWS} == {"plain", "residual", "highway", "dense", "reversible"}


@pytest.mark.parametrize(("config", "factor"), ROWS)
def test_the_factors_of_the_families(config, factor):
    family, *others = config.split()
    found = compare(*SHARED, f"model.family={family}", *others).rows["factor"].item()
    assert found == pytest.approx(float(factor), abs=0.0015)


def test_what_predict_says():
    """To the last digit: each of these networks has a theory in closed form."""
    overrides, said = re.search(r"^vgexp predict (data=.*)\n```\n\n```\n((?:.+\n)+)```", README, re.M).groups()
    assert said in str(predict(*overrides.split()))
