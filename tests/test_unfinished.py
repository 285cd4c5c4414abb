"""Whatever is there of a sweep can be shown: any rows, columns, parts and runs may be missing, any value no number."""

import contextlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vgexp
from vgexp import papers
from vgexp.claims.statements import Missing
from vgexp.config.rows import flat, from_row
from vgexp.experiments.compose import conf_dir
from vgexp.figures.phases import phase_picture
from vgexp.figures.pictures import Picture, Table, draw_each
from vgexp.figures.profiles import profile_picture
from vgexp.figures.sweeps import draw_all
from vgexp.pages.page import Content, render
from vgexp.results.columns import TABLES
from vgexp.results.reading import complete, read, stored
from vgexp.results.scalars import by_run
from vgexp.results.status import STATUSES, statuses
from vgexp.results.tables import Results
from vgexp.theory.expected import expected

EXAMPLES = settings.default.max_examples // 20
"""Each draws every picture."""
NUMBERS = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-200, 1e200)
"""What a cell may hold that no axis can show, or none beside others."""
SHOWN = settings(
    max_examples=EXAMPLES,
    derandomize=True,  # a found example is a bug to be fixed, not a test that fails now and then
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


@st.composite
def unfinished(draw, whole):
    """Some of the rows and columns of results, as a reader finds them."""

    def some(values, most):
        values = list(values)
        return draw(st.lists(st.sampled_from(values), max_size=most, unique=True)) if values else []

    ids = list(whole.runs["run"])
    lost = ids[:: draw(st.integers(1, 4))] if draw(st.integers(0, 3)) == 0 else some(ids, 4)
    runs = whole.runs[~whole.runs["run"].isin(lost)].copy()
    kept = list(runs["run"])
    for run in some(kept, 4):
        runs.loc[runs["run"] == run, "status"] = draw(st.sampled_from(STATUSES[:3]))
    tables = {"runs": runs}
    ends = {run: draw(st.integers(0, 8)) for run in some(kept, 4)}
    steps = sorted(whole.steps["step"].unique())
    for name in list(TABLES)[1:]:
        table = whole.tables()[name]
        table = table[table["run"].isin(kept)].copy()
        for run, end in ends.items():
            table = table[(table["run"] != run) | table["step"].isin(steps[:end])]
        table = table[~table["run"].isin(some(kept, 2))]
        for column in ("step", "layer", "part", "quantity"):
            if column in table and draw(st.integers(0, 3)) == 0:
                table = table[~table[column].isin(some(sorted(table[column].unique()), 1))]
        tables[name] = table[: draw(st.sampled_from([None] * 9 + [1, 0]))]
    for name, table in tables.items():
        optional = [column for column in table if column not in (*TABLES[name].key, "status", "folder")]
        table = table.drop(columns=some(optional, 3))
        numbers = [
            column for column in TABLES[name].columns + TABLES[name].optional if column in table.select_dtypes(float)
        ]
        for column in some(numbers, 3):
            where = table["run"].isin(some(table["run"].unique(), 4) or kept)
            if "layer" in table and draw(st.booleans()):
                where &= table["layer"] == draw(st.integers(1, 3))
            table[column] = table[column].astype(float).mask(where, draw(st.sampled_from(NUMBERS)))
        tables[name] = complete(name, table)
    return replace(whole, **tables)


@pytest.fixture(scope="session")
def sweep(tmp_path_factory) -> Results:
    """Two families, three depths, parts within layers, runs that are observed at other steps and one that diverges."""
    with contextlib.chdir(tmp_path_factory.mktemp("sweep")):
        shared = ("name=train", "data=digits", "model.width=6", "probe=full", "probe.spectra=ends", "seed=0,1")
        vgexp.run(*shared, "model.depth=1,4", "model.family=plain,residual", "model.branch_layers=2", "steps=0,6")
        vgexp.run(*shared, "model.depth=3", "steps=8", "optim.lr=0.1,1e30", "probe.every=2", "eval.every=4")
        return read(Path("results/train"))


def shown(drawn) -> None:
    """Pictures are laid out and rendered, and say something; what is no picture says why."""
    for name, picture in drawn.items():
        if isinstance(picture, Picture):
            picture.figure.draw_without_rendering()
            assert picture.caption and len(picture.frame), name
        elif isinstance(picture, Table):
            assert picture.caption and len(picture.rows), name
        else:
            assert picture.startswith("not drawn: "), name


@pytest.fixture(autouse=True, scope="module")
def _theory_once():
    """The same runs are drawn many times."""
    known = cache(lambda text: expected(from_row(json.loads(text))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vgexp.figures.profiles.expected", lambda run: known(json.dumps(stored(flat(run)))))
        yield


@SHOWN
@given(data=st.data())
def test_sweeps(sweep, data, tmp_path):
    results = data.draw(unfinished(sweep))
    drawn = draw_all(results)
    shown(drawn)
    for step in (6, 8):
        with contextlib.suppress(Missing):
            shown({"profile": profile_picture(results, step)})
    assert "Where this comes from" in render([Path("x")], results, Content("t", pictures={}))
    found = statuses(results.planned, results.runs[["run", "status"]].to_dict("records"))
    assert len(found) == len({*results.planned, *results.runs["run"]})
    assert {one.status for one in found} <= set(STATUSES)
    assert set(results.comparable()) == set(TABLES)
    some = results.select(list(results.runs["run"])[:1])
    assert len(some.runs) == min(1, len(results.runs))
    assert results.grid("train").planned.keys() <= results.planned.keys()
    assert {run for run, _ in by_run(some.tables())} <= set(some.runs["run"])


@pytest.fixture(scope="session")
def plane(tmp_path_factory) -> Results:
    """Plain networks at four places among the phases of two activations, and one that has no place."""
    with contextlib.chdir(tmp_path_factory.mktemp("plane")):
        shared = ("name=train", "data=digits", "model.width=6", "model.depth=3", "seed=0,1", "steps=0")
        vgexp.run(*shared, "model.activation=tanh,relu", "init.name=glorot,he", "init.sigma_b=0,0.3")
        vgexp.run(*shared, "model.norm=layer")
        return read(Path("results/train"))


@SHOWN
@given(data=st.data())
def test_phase_diagrams(plane, data):
    shown(draw_each({"phases": phase_picture}, data.draw(unfinished(plane))))


@cache
def committed(paper: str) -> Results:
    """The results of a paper that are part of this repository, at few of their steps."""
    whole = read(conf_dir().parent / "results" / paper / "small")
    tables = {}
    for name, table in whole.tables().items():
        if name != "runs" and len(table):
            steps = np.sort(table["step"].unique())
            ends = table.groupby("run")["step"].transform("max")
            table = table[table["step"].isin(steps[:: max(1, len(steps) // 6)]) | (table["step"] == ends)]
        tables[name] = table
    return replace(whole, **tables)


COMPUTED = {"figure1", "figure5", "modes", "timeline", "differences"}
"""Figures that read no results."""


@pytest.mark.parametrize("paper", papers.names())
@SHOWN
@given(data=st.data())
def test_papers(paper, data):
    results = data.draw(unfinished(committed(paper)))
    figures = {name: figure for name, figure in papers.module(paper).FIGURES.items() if name not in COMPUTED}
    shown(draw_each(figures, results))
    shown(papers.tables(paper, results))
