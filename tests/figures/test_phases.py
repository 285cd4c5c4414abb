import io
import math

import matplotlib as mpl
import numpy as np
import pytest
import torch
from drawn import assert_drawn
from matplotlib.colors import to_rgba
from pyarrow import csv

import vgexp
from vgexp.claims.statements import Missing
from vgexp.figures.phases import COLORS_OF_FACTORS, draw_phases, phase_frame, phase_picture
from vgexp.figures.pictures import save
from vgexp.figures.sweeps import draw_all
from vgexp.networks.activations import ACTIVATIONS, Activation
from vgexp.numerics.criticality import mean_square, mean_square_slope

SHARED = ("name=phases", "data=digits", "model.width=16", "steps=0", "seed=0,1,2", "threads=1")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two activations, two scales, one of them by two laws; two depths; residual and normalised networks besides."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("phases"))
        vgexp.run(*SHARED, "model.activation=relu,tanh", "model.depth=3,5", "init.name=he,lecun,glorot")
        vgexp.run(*SHARED, "model.activation=tanh", "model.depth=3", "init.name=normal", "init.sigma_b=0.4")
        vgexp.run(*SHARED, "model.depth=3", "model.norm=layer", "model.family=residual,plain")
        return vgexp.read("results/phases")


@pytest.fixture(scope="module")
def picture(swept):
    return phase_picture(swept)


def points(frame):
    return frame[frame["value"].notna()].set_index(["group", "sigma_w2", "sigma_b2"]).sort_index()


def test_a_point_for_each_place(picture):
    found = points(picture.frame)
    assert list(found.index) == [
        ("relu", 1, 0),
        ("relu", 2, 0),
        ("tanh", 1, 0),
        ("tanh", 1, 0.16),
        ("tanh", 2, 0),
    ]
    assert (found["seeds"] == 3).all()  # lecun and glorot, and both depths, are no further seeds


def test_a_point_is_the_factor_that_was_measured(swept, picture):
    runs = swept.runs.set_index("run")
    falls = {}
    for run, rows in swept.layers.groupby("run"):
        config = runs.loc[run]
        depth = config["model.depth"]
        if config["model.activation"] == "relu" and config["init.name"] == "he":
            dz = rows.set_index("layer")["dz_rms"]
            falls.setdefault(config["seed"], []).append(math.log(dz[1] / dz[depth]) / (depth - 1))
    means = [np.mean(of_seed) for of_seed in falls.values()]
    row = points(picture.frame).loc[("relu", 2, 0)]
    assert row["value"] == pytest.approx(math.exp(np.mean(means))) and row["low"] < row["value"] < row["high"]


def test_the_line_is_where_chi_1_is_1(picture):
    frame = picture.frame
    line = frame[(frame["group"] == "tanh") & frame["theory"].notna() & (frame["sigma_b2"] > 0)]
    assert len(line) > 20
    for row in line.itertuples():
        q = torch.ones(1, dtype=torch.float64)
        for _ in range(300):
            q = row.theory * mean_square(ACTIVATIONS["tanh"], q) + row.sigma_b2
        assert row.theory * float(mean_square_slope(ACTIVATIONS["tanh"], q)) == pytest.approx(1, abs=1e-6)
    relu = frame[(frame["group"] == "relu") & frame["theory"].notna()]
    assert relu["theory"].to_numpy() == pytest.approx(2)


def test_regions_are_named_on_their_sides_of_the_line_and_right_of_all_points(picture):
    frame = picture.frame
    named = frame[frame["phase"].notna()]
    assert named[["group", "phase"]].to_numpy().tolist() == [
        ["relu", "diverges"],
        ["relu", "ordered"],
        ["tanh", "chaotic"],
        ["tanh", "ordered"],
    ]
    for row in named.itertuples():
        line = frame[(frame["group"] == row.group) & frame["theory"].notna()]
        above = row.sigma_w2 > line["theory"].iloc[-1]
        assert above == (row.phase != "ordered") and row.sigma_b2 >= 2 * 0.16


def test_what_is_drawn_is_the_frame(picture, tmp_path):
    shown = picture._replace(
        frame=picture.frame.assign(sigma_w2=picture.frame["sigma_w2"].where(picture.frame["value"].notna()))
    )
    assert_drawn(shown, "sigma_w2", "theory")
    assert "3 seeds" in picture.caption and "lengths that grow without end" in picture.caption
    text = io.BytesIO(picture.frame.to_csv(index=False).encode())
    again = draw_phases(csv.read_csv(text).to_pandas())
    assert save(again, tmp_path / "again", "phases") == save(picture.figure, tmp_path / "first", "phases")


def test_colors_say_the_factor_and_are_neutral_at_1(picture):
    reach = abs(np.log10(points(picture.frame)["value"])).max()
    drawn = {}
    for ax, name in zip(picture.figure.axes, ("relu", "tanh"), strict=False):
        marks = [line for line in ax.get_lines() if line.get_marker() == "o"]
        drawn |= {(name, *(float(one[0]) for one in mark.get_data()[::-1])): mark.get_color() for mark in marks}
    assert len(drawn) == 5
    for place, row in points(picture.frame).iterrows():
        share = (np.log10(row["value"]) / reach + 1) / 2
        assert to_rgba(drawn[place]) == pytest.approx(mpl.colormaps[COLORS_OF_FACTORS](share), abs=0.01)
    middle = mpl.colormaps[COLORS_OF_FACTORS](0.5)
    assert min(middle[:3]) > 0.9


def test_one_place_or_none_is_missing(swept):
    lecun = swept.runs[(swept.runs["init.name"] == "lecun") & (swept.runs["model.activation"] == "relu")]
    normed = swept.runs[swept.runs["model.norm"] == "layer"]
    for runs in (lecun, normed, swept.runs.head(0)):
        some = swept.select(list(runs["run"]))
        with pytest.raises(Missing):
            phase_picture(some)
        assert "phases" not in draw_all(some)
    assert "phases" in draw_all(swept)


def test_names_and_gradients_that_are_not_there_are_left_out(swept):
    other = swept.select(list(swept.runs["run"]))
    other.runs.loc[other.runs["model.activation"] == "tanh", "model.activation"] = "gone"
    assert set(phase_frame(other)["group"]) == {"relu"}
    other = swept.select(list(swept.runs["run"]))
    other.layers.loc[other.layers["layer"] == 1, "dz_rms"] = 0.0
    assert phase_frame(other).empty


def test_activations_of_one_name_that_differ_have_planes_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    slopes = ("model.activation=leaky_relu", "model.negative_slope=0.01,0.5", "model.depth=3")
    found = points(phase_frame(vgexp.run(*SHARED, *slopes)))
    assert [group for group, *_ in found.index] == ["leaky_relu, negative_slope 0.01", "leaky_relu, negative_slope 0.5"]


def test_an_activation_without_a_line_has_points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ACTIVATIONS, "flat", Activation(lambda z: 0.01 * z, lambda z: torch.full_like(z, 0.01)))
    frame = phase_frame(vgexp.run(*SHARED, "model.activation=flat", "init.name=he,lecun", "model.depth=3"))
    assert len(frame[frame["value"].notna()]) == 2 and frame["theory"].isna().all()
    assert set(frame["phase"].dropna()) == {"ordered"}
    draw_phases(frame).draw_without_rendering()
