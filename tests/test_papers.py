"""Every paper and every experiment of the project's own at smoke scale, from the command line: of papers the claims are
evaluated and the figures drawn."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir

import vgexp
from vgexp import papers
from vgexp.claims.verdicts import COLUMNS, SCALES
from vgexp.experiments.compose import composer, conf_dir
from vgexp.experiments.scales import scales
from vgexp.experiments.sweep import grids
from vgexp.networks.identity import identity
from vgexp.results.errors import ResultsError
from vgexp.results.reading import read

OWN = ["chaos", "remedies", "theory"]
"""Experiments that are no paper's."""


def test_stems_are_the_same_everywhere():
    experiments = {path.stem for path in (conf_dir() / "experiment").glob("*.yaml")}
    assert experiments == {*papers.names(), *OWN}


def test_claims_are_numbered_and_have_criteria():
    for name in papers.names():
        claims = papers.module(name).CLAIMS
        assert [claim.name[-2:] for claim in claims] == [f"{n:02}" for n in range(1, len(claims) + 1)]
        assert all(claim.criteria and claim.scale in SCALES for claim in claims)
    assert len(papers.module("glorot2010").CLAIMS) == 30


def test_scales_have_an_order_and_their_results_can_be_committed():
    """All but those of smoke, which take minutes."""
    kept = (conf_dir().parent / ".gitignore").read_text().splitlines()
    for name in {name for found in scales().values() for name in found}:
        assert name in SCALES
        assert (f"!results/*/{name}/" in kept) == (name != "smoke")


@pytest.mark.parametrize("name", papers.names())
def test_claims_name_grids_of_the_experiment(name):
    """At the scale at which they can show, as far as there is such a scale; none that nobody runs."""
    named = yaml.safe_load((conf_dir() / "experiment" / f"{name}.yaml").read_text())["scales"]
    for claim in papers.module(name).CLAIMS:
        assert set(claim.grids) <= set(named.get(claim.scale, named["small"])), claim.name


COMMITTED = sorted(
    path.parent for scale in SCALES[1:] for path in (conf_dir().parent / "results").glob(f"*/{scale}/claims.csv")
)


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_committed_claims_are_those_of_the_committed_tables(folder):
    """Nobody edits a verdict by hand, and no claim changes without its table. Claims that read no grid are computed
    anew, from rounding errors too, which are another computer's: of those the verdicts."""
    claims = papers.module(folder.parent.name).CLAIMS
    committed = pd.read_csv(folder / "claims.csv")
    found = papers.evaluated(folder.parent.name, folder, read(folder))
    texts = ["claim", "part", "quantity", "verdict", "reason"]
    pd.testing.assert_frame_equal(
        committed[texts].astype(object).fillna(""), found[texts].astype(object).fillna(""), check_dtype=False
    )
    columns = ["expected", "reference", "exact"]
    pd.testing.assert_frame_equal(committed[columns], found[columns], check_dtype=False)
    numbers = ["low", "high", "measured", "measured_low", "measured_high", "seeds"]
    tabled = committed["claim"].isin([claim.name for claim in claims if claim.grids])
    assert tabled.any()
    pd.testing.assert_frame_equal(
        committed.loc[tabled, numbers], found.loc[tabled, numbers], check_dtype=False, rtol=1e-6
    )


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_some_of_the_runs_make_a_page(folder):
    """Grids are launched one by one and stop anywhere, so that they differ in their seeds."""
    results = read(folder)
    some = replace(results, runs=results.runs.sample(frac=0.7, random_state=0))
    claims = papers.content(folder.parent.name, folder, some).claims
    assert list(claims["claim"].unique()) == [claim.name for claim in papers.module(folder.parent.name).CLAIMS]


def test_every_yaml_composes():
    files = [path for path in conf_dir().rglob("*.yaml") if path.parent != conf_dir()]
    assert len(files) >= 11
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for path in files:
            group = path.parent.relative_to(conf_dir())
            config = compose("config", overrides=[f"{group}={path.stem}"])
            assert config.steps >= 0


FIGURES = {
    "baydin2018": {"products", "differences", "modes"},
    "chen2016": {"memory", "front", "timeline"},
    "glorot2010": {f"figure{n}" for n in (1, 5, 6, 7, 8)}
    | {"figure2_digits", "heatmap", "speeds", "training", "profiles"},
    "gomez2017": {"errors", "layers"},
    "griewank2000": {"steps"},
}
"""What can be drawn at smoke scale."""


@pytest.mark.parametrize(("name", "claims"), [("a", False), ("glorot2010/b", True)])
def test_a_report_has_the_claims_of_the_paper_that_the_folder_is_named_after(name, claims):
    vgexp.run("data=digits", "model.depth=2", "model.width=4", "steps=0", f"name={name}")
    folder = Path("results", name)
    assert vgexp.report(str(folder)) == folder / "report.html"
    assert ("GB-04" in (folder / "report.html").read_text()) == (folder / "claims.csv").exists() == claims
    with pytest.raises(ResultsError, match="no results here"):
        vgexp.report("nowhere")


@pytest.mark.slow
@pytest.mark.parametrize("paper", papers.names())
def test_reproduce_smoke(paper):
    command = [sys.executable, "-m", "vgexp", "reproduce", paper]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder = Path("results") / paper / "smoke"
    assert done.stdout.splitlines()[-1] == f"report: {folder / 'report.html'}    next: vgexp view {folder}"
    claims = pd.read_csv(folder / "claims.csv")
    assert list(claims.columns) == COLUMNS
    assert len(claims.groupby("claim")) == len(papers.module(paper).CLAIMS)
    measured = claims[claims["verdict"] != "not measured"]
    assert (measured["verdict"] == measured["expected_verdict"]).all(), measured.to_string()
    assert measured.loc[measured["seeds"] > 1, "measured_low"].notna().all()
    assert {path.stem for path in (folder / "figures").iterdir()} == FIGURES[paper]
    # Nothing is computed again from what is there.
    before = {path: path.stat().st_mtime_ns for path in (folder / "layers").iterdir()}
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "layers").iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize("experiment", OWN)
def test_own_experiments_run_at_smoke(experiment):
    command = [sys.executable, "-m", "vgexp", "train", f"experiment={experiment}", "scale=smoke"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = read(Path("results") / experiment / "smoke")
    assert set(results.runs["run"]) == set(results.planned)
    assert (results.runs["status"] == "done").all()
    assert all(results.grids.values())


@pytest.mark.parametrize("experiment", OWN)
def test_committed_results_are_those_of_the_experiment(experiment):
    """Every run that the file asks for is there, and is done."""
    folder = conf_dir().parent / "results" / experiment / "small"
    results = read(folder)
    with composer() as composed:
        found = grids([f"experiment={experiment}", "scale=small"], composed)
    asked = {name: {identity(run) for _, run in grid.runs} for name, grid in found.items()}
    assert {name: set(ids) for name, ids in results.grids.items()} == asked
    done = results.runs.loc[results.runs["status"] == "done", "run"]
    assert set(done) == set().union(*asked.values())
