"""Every paper at smoke scale: it runs from the command line, its claims are evaluated, its figures drawn."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from vgexp import papers
from vgexp.claims import COLUMNS
from vgexp.experiment import conf_dir


def test_stems_are_the_same_everywhere():
    assert [path.stem for path in sorted((conf_dir() / "experiment").glob("*.yaml"))] == papers.names()


def test_every_yaml_composes():
    files = [path for path in conf_dir().rglob("*.yaml") if path.parent != conf_dir()]
    assert len(files) >= 11
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for path in files:
            group = path.parent.relative_to(conf_dir())
            config = compose("config", overrides=[f"{group}={path.stem}"])
            assert config.steps >= 0


@pytest.mark.slow
@pytest.mark.parametrize("paper", papers.names())
def test_reproduce_smoke(paper):
    command = [sys.executable, "-m", "vgexp", "reproduce", paper]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder = Path("results") / paper / "smoke"
    assert f"report: {folder / 'report.html'}" in done.stdout.splitlines()[-1]
    claims = pd.read_csv(folder / "claims.csv")
    assert list(claims.columns) == COLUMNS
    assert len(claims.groupby("claim")) == len(papers.module(paper).CLAIMS)
    measured = claims[claims["verdict"] != "not measured"]
    assert (measured["verdict"] == measured["expected_verdict"]).all(), measured.to_string()
    assert measured["measured_low"].notna().all()
    assert {"figure6.svg", "figure7.svg", "figure8.svg", "heatmap.svg", "speeds.svg", "training.svg"} <= {
        path.name for path in (folder / "figures").iterdir()
    }
    # Nothing is computed again from what is there.
    before = {path: path.stat().st_mtime_ns for path in (folder / "layers").iterdir()}
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "layers").iterdir()} == before
