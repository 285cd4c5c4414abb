import numpy as np
import pytest
from drawn import assert_drawn

from vgexp.papers.chen2016 import figures
from vgexp.papers.chen2016.claims import DEPTHS, WAYS

BYTES = 64 * 64 * 4
"""One layer's activations, 64 units and examples in float32."""


@pytest.fixture
def results(committed):
    return committed("chen2016")


def rows_of(results, way):
    return results.runs[results.runs["run"].isin(results.grids[way])].groupby("model.depth")


def test_memory_is_the_tables_and_the_leading_term(results):
    picture = figures.memory(results)
    laws = [lambda n: n, lambda n: 2 * n**0.5, lambda n: np.minimum(n, 10), lambda n: 0 * n + 1]
    for (group, rows), way, law in zip(picture.frame.groupby("group", sort=False), WAYS, laws, strict=True):
        assert group.startswith(WAYS[way][0])
        measured = rows.dropna(subset="value").set_index("depth")
        assert list(measured.index) == list(DEPTHS)
        live = rows_of(results, way)["live_bytes"].mean() / BYTES
        np.testing.assert_allclose(measured["value"], live[list(DEPTHS)])
        assert (measured["seeds"] == rows_of(results, way).size()[list(DEPTHS)]).all()
        np.testing.assert_allclose(rows["theory"], law(rows["depth"].to_numpy()))
    assert_drawn(picture, "value", "theory")
    more = picture.frame.query("depth == 1024").eval("value - theory")
    assert f"{more.min():.1f} to {more.max():.1f} units at 1024 layers" in picture.caption
    assert any("kept activations" in text.get_text() for text in picture.figure.legends[0].get_texts())


def test_front_is_work_against_memory(results):
    picture = figures.front(results)
    for (_, rows), way in zip(picture.frame.groupby("group", sort=False), WAYS, strict=True):
        of_depth = rows_of(results, way)[["forward_flops", "backward_flops", "live_bytes"]].mean().loc[list(DEPTHS)]
        work = 1 + of_depth["backward_flops"] / of_depth["forward_flops"]
        np.testing.assert_allclose(rows["value"], work)
        np.testing.assert_allclose(rows["units"], of_depth["live_bytes"] / BYTES)
    assert_drawn(picture, "value")


def test_timeline_fills_up_and_empties(results):
    picture = figures.timeline(results)
    peaks = picture.frame.groupby("group", sort=False)["value"].max()
    assert list(peaks.index) == [ax.texts[0].get_text().replace("\n", " ") for ax in picture.figure.axes]
    assert peaks["store everything"] > 32 > 2 * peaks["checkpoint every √n layers"]
    for (_, rows), ax in zip(picture.frame.groupby("group", sort=False), picture.figure.axes, strict=True):
        back = rows[rows["pass"] == "backward"]
        assert back["event"].min() == rows.loc[rows["pass"] == "forward", "event"].max() + 1
        assert ax.get_lines()[0].get_xdata()[0] == back["event"].min()
    assert_drawn(picture._replace(frame=picture.frame[picture.frame["value"] > 0]), "value")
