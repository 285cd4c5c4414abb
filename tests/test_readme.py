"""What the README and the page on families say in numbers is what the tool says."""

import re
import runpy
from pathlib import Path

import pandas as pd
import pytest

import vgexp
from vgexp import papers
from vgexp.experiments.comparison import compare
from vgexp.experiments.prediction import predict

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text()
START = (CHECKOUT / "docs/index.md").read_text()
PAGE = (CHECKOUT / "docs/families.md").read_text()
ROWS = re.findall(r"^\| `((?:plain|residual|highway|dense|reversible)[^`]*)` \|.*\| ([0-9.]+) \|$", PAGE, re.M)
SHARED = ["data=digits", "data.batch_size=64", "loss=cotangent", "model.depth=30", "init.name=standard"]
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?")


def test_the_table_has_every_family():
    assert {config.split()[0] for config, _ in ROWS} == {"plain", "residual", "highway", "dense", "reversible"}


@pytest.mark.parametrize(("config", "factor"), ROWS)
def test_the_factors_of_the_families(config, factor):
    family, *others = config.split()
    found = compare(*SHARED, f"model.family={family}", *others).rows["factor"].item()
    assert found == pytest.approx(float(factor), abs=0.0015)


def test_what_predict_says():
    """To the last digit: each of these networks has a theory in closed form."""
    overrides, said = re.search(r"^vgexp predict (data=.*)\n```\n\n```\n((?:.+\n)+)```", PAGE, re.M).groups()
    assert said in str(predict(*overrides.split()))


def test_the_gradients_of_the_first_sweep():
    """The command stands in the README and on the first page, and so does what its results say."""
    command = re.search(r"^vgexp train -m (.*)$", README, re.M)[1]
    assert command in START
    overrides = [text.strip("'") for text in command.split() if not text.startswith(("steps=", "name="))]
    results = vgexp.run(*overrides, "steps=0", "name=depths")
    first = results.layers.query("step == 0 and layer == 1").merge(results.runs, on="run")
    found = first.groupby(["init.name", "model.depth"])["dz_rms"].mean()
    for text in (README, START):
        depths = re.search(r"^model\.depth +(.*)$", text, re.M)[1].split()
        for law in ("glorot", "standard"):
            shown = re.search(rf"^{law} +(.*)$", text, re.M)[1].split()
            measured = found[law].loc[[int(depth) for depth in depths]]
            assert [float(number) for number in shown] == pytest.approx(measured.tolist(), rel=0.05)


def test_the_diagnosis():
    """Word by word, and numbers but for their last digit."""
    code = next(block for block in re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S) if "example" in block)
    shown = re.search(r"^```\n(vanishing .*?)\n```$", README, re.M | re.S)[1]
    Path("mine.py").write_text(code)
    said = str(vgexp.diagnose(*runpy.run_path("mine.py")["example"]()))
    assert NUMBER.sub("#", said) == NUMBER.sub("#", shown)
    numbers = [float(number) for number in NUMBER.findall(said)]
    assert [float(number) for number in NUMBER.findall(shown)] == pytest.approx(numbers, rel=0.1)


def test_the_claims_shown():
    folder = CHECKOUT / "results/glorot2010/small"
    claims, results = pd.read_csv(folder / "claims.csv").set_index(["claim", "quantity"]), vgexp.read(folder)
    grids = {claim.name: claim.grids for claim in papers.module("glorot2010").CLAIMS}
    cells = r"^\| (GB-\d+): (.*) \| (.*) \| (.*) \[(.*), (.*)\] \| (\d+) \| (.*) \| (\w+) \|$"
    shown = re.findall(cells, README, re.M)
    assert len(shown) >= 3
    for claim, quantity, paper, ours, low, high, seeds, updates, verdict in shown:
        row = claims.loc[(claim, quantity)]
        found = [f"{row[name]:.3g}" for name in ("expected", "measured", "measured_low", "measured_high")]
        steps = max(results.grid(grid).runs["steps"].max() for grid in grids[claim])
        assert [paper, ours, low, high, seeds] == [*found, str(row["seeds"])]
        assert (updates, verdict) == (f"{steps:,}", row["verdict"])
