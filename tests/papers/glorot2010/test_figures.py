import numpy as np
import pandas as pd
import pytest
from drawn import assert_among, assert_drawn, framed, heights

from vgexp.claims.statements import Missing
from vgexp.data import shapeset
from vgexp.numerics.seeds import generator
from vgexp.papers.glorot2010 import figures


@pytest.fixture
def results(committed):
    return committed("glorot2010")


def test_figure1_shows_the_images():
    picture = figures.figure1(None)
    x_KI, _ = shapeset.images(50, generator("batches", 0, 0))
    (image,) = picture.figure.axes[0].images
    sheet = np.asarray(image.get_array())
    for index in (0, 9, 10, 49):
        row, column = divmod(index, 10)
        here = picture.frame[picture.frame["image"] == index].pivot(index="row", columns="column", values="value")
        np.testing.assert_array_equal(here, x_KI[index].view(32, 32))
        tile = sheet[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
        np.testing.assert_array_equal(tile, x_KI[index].view(32, 32))


def test_figure2_digits_counts_the_seeds_that_escape(results):
    picture = figures.figure2_digits(results)
    runs = results.runs[results.runs["run"].isin(results.grids["escape"])]
    for depth, rows in picture.frame.groupby("depth"):
        mine = runs[runs["model.depth"] == depth]
        losses = results.steps[results.steps["run"].isin(mine["run"])].groupby("run")["valid_loss"].min()
        escapes = int((losses < np.log(10) - 0.15).sum())
        assert set(rows["group"]) == {f"{depth} layers: {escapes} of {len(mine)} seeds escape"}
    assert [ax.texts[0].get_text() for ax in picture.figure.axes] == list(picture.frame["group"].unique())
    assert set(picture.frame["seed"]) == {1}
    assert {ax.get_xlabel() for ax in picture.figure.axes} == {"updates (thousand)"}


@pytest.mark.parametrize("name", ["figure2", "figure2_digits", "figure3", "figure9", "figure10"])
def test_histories_show_what_is_in_their_frames(results, name):
    picture = figures.FIGURES[name](results)
    numbers = framed(picture, "value", "paper", *({"low", "high"} & set(picture.frame)))
    assert_among(heights(picture.figure), np.concatenate([numbers, -numbers]))
    assert set(picture.frame.loc[picture.frame["paper"].notna(), "step"]) <= set(range(0, 200_001, 20_000))
    assert " seed" in picture.caption


def test_figure4_is_the_end_of_training(results):
    picture = figures.figure4(results)
    assert_drawn(picture, "density")
    last = results.runs[results.runs["run"].isin(results.grids["tanh"])]["steps"].max()
    assert picture.frame["group"].iloc[0] == f"Tanh, after {last:,} updates"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("figure3", ["GB-16", "GB-17"]),
        ("figure4", ["GB-18"]),
        ("figure9", ["GB-19"]),
        ("figure10", ["GB-21"]),
    ],
)
def test_captions_say_of_claims_what_the_verdicts_say(results, name, told):
    """Those of the committed table."""
    table = pd.read_csv(results.folders[0] / "claims.csv").drop_duplicates("claim").set_index("claim")
    caption = figures.FIGURES[name](results).caption
    for claim in told:
        row = table.loc[claim]
        statement = f'Claim {claim}, "{row["statement"]}", '
        assert caption.count(statement) == 1
        verdict = {"holds": "holds", "refuted": "is refuted"}.get(row["verdict"], "is not measured")
        reason = "" if pd.isna(row["reason"]) else f" ({row['reason']})"
        assert f"{statement}{verdict} here{reason}." in caption


@pytest.mark.parametrize("number", [6, 7, 8])
def test_figures_at_initialisation_have_the_papers_order(results, number):
    picture = figures.FIGURES[f"figure{number}"](results)
    assert list(picture.frame["group"].unique()) == ["standard", "normalized"]
    assert [ax.texts[0].get_text() for ax in picture.figure.axes] == ["standard", "normalized"]
    assert set(picture.frame["step"]) == {0}
    assert picture.caption.startswith(f"Figure {number} of the paper")
    assert_drawn(picture, "density")


def test_figures_of_grids_that_were_not_run_are_missing(results):
    none = results.select([])
    for name, function in figures.FIGURES.items():
        if name not in ("figure1", "figure5"):
            with pytest.raises(Missing):
                function(none)
