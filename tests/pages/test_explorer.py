"""The page in a real browser, against the tables that it was made from."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import opened

import vgexp
from vgexp.claims.verdicts import COLUMNS
from vgexp.pages.page import Content, render, write_report

TOOLTIP = ".bk-tooltip-row-value"


TO_STEP = """(at) => {
  const slider = document.getElementById("step");
  slider.value = at;
  slider.dispatchEvent(new Event("input"));
  slider.dispatchEvent(new Event("change"));
}"""
UNNAMED = """[...document.querySelectorAll('button, select, input')]
  .filter((e) => !e.labels?.length && !e.ariaLabel && !e.textContent).length"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two activations, two depths, three seeds, some steps, everything recorded."""
    import os

    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("page"))
    try:
        found = vgexp.run(
            *("data=digits", "model.width=12", "model.depth=4,6", "model.activation=tanh,relu", "seed=0,1,2"),
            *("steps=20", "probe=full", "probe.every=5", "eval.every=10", "name=odd"),
        )
        page = write_report(Path("results/odd"), content=Content("<b>odd</b>", "<script>alert(1)</script>")).resolve()
    finally:
        os.chdir(before)
    return found, page


def test_opens_offline_and_escapes_what_it_shows(results):
    with opened(results[1]) as page:
        assert page.locator("h1").inner_text().endswith("<b>odd</b>")
        assert "<script>alert(1)</script>" in page.locator("p").first.inner_text()
        assert page.locator("canvas").count() >= 5
        assert "12 done" in page.locator("body").inner_text()
        assert page.locator("figure").count() == page.locator("figure > img + figcaption").count() > 0
        page.wait_for_function("[...document.images].every((image) => image.naturalWidth > 100)")


def test_lines_are_the_means_of_the_tables_and_follow_the_slider(results):
    tables, path = results
    runs = tables.runs[(tables.runs["model.activation"] == "tanh") & (tables.runs["model.depth"] == 6)]
    with opened(path) as page:
        for place, step in enumerate((0, 5, 10, 15, 20)):
            page.evaluate(TO_STEP, place)
            assert page.locator("#step-now").inner_text() == f"step {step}"
            shown = page.evaluate("explorer.shown().map(one => [one.name, one.ys])")
            rows = tables.layers[tables.layers["run"].isin(runs["run"]) & (tables.layers["step"] == step)]
            rows = rows[rows["layer"] <= 6]
            expected = np.exp(np.log(rows.groupby("layer")["dz_rms"].apply(list).apply(np.array).tolist()).mean(1))
            [ys] = [ys for name, ys in shown if "depth 6" in name and "tanh" in name]
            np.testing.assert_allclose(ys, expected, rtol=1e-4)


def spans(results, **chosen):
    """The smallest and the largest gradient of the hidden layers, at chosen steps."""
    rows = results.layers[(results.layers["part"] == "") & results.layers["dz_rms"].gt(0)]
    rows = rows[rows["layer"] <= rows["run"].map(results.runs.set_index("run")["model.depth"])]
    for column, value in chosen.items():
        rows = rows[rows[column] == value]
    return rows["dz_rms"].min(), rows["dz_rms"].max()


def test_the_y_axis_fits_the_first_picture_and_is_held_while_the_slider_moves(results):
    tables, path = results

    def covers(span):
        """Whether the axis has these values and a margin of a tenth of their decades at most."""
        [(low, high)] = page.evaluate("explorer.yEnds()")
        margin = (span[1] / span[0]) ** 0.1
        return span[0] / margin <= low <= span[0] and span[1] <= high <= span[1] * margin

    first, later, whole = spans(tables, step=0), spans(tables, step=10), spans(tables)
    with opened(path) as page:
        assert covers(first) and not covers(whole)
        page.evaluate(TO_STEP, 1)
        assert page.get_by_label("hold the y axis").is_checked()
        assert covers(whole)
        page.evaluate(TO_STEP, 2)
        assert covers(whole)
        page.get_by_label("hold the y axis").uncheck()
        assert covers(later) and not covers(whole)
        page.evaluate(TO_STEP, 0)
        assert covers(first) and not page.get_by_label("hold the y axis").is_checked()
        page.evaluate("Bokeh.index.roots.find((one) => one.model.height === 380).model.y_range.setv({start: 1e-9})")
        page.get_by_label("hold the y axis").check()
        assert page.evaluate("explorer.yEnds()[0][0]") == 1e-9  # the reader's own


def test_single_seeds_are_the_numbers_of_the_tables(results):
    tables, path = results
    with opened(path) as page:
        page.get_by_label("single seeds").check()
        shown = page.evaluate("explorer.shown().map(one => [one.runs[0].id, one.ys])")
        assert len(shown) == 12
        for run, ys in shown:
            rows = tables.layers[tables.layers["run"] == run].query("step == 0 and part == ''").sort_values("layer")
            np.testing.assert_allclose(ys, rows["dz_rms"][:-1], rtol=5e-5)


def test_a_click_on_the_legend_hides_and_a_button_hides_a_run(results):
    with opened(results[1]) as page:
        assert len(page.evaluate("explorer.shown()")) == 4
        page.locator("#color").select_option("model.activation")
        page.locator("#legend button", has_text="tanh").click()
        activations = page.evaluate("explorer.shown().map(one => one.runs[0].config['model.activation'])")
        assert set(activations) == {"relu"}
        page.locator("#legend button", has_text="tanh").click()
        seeds = "explorer.shown().map(one => one.runs.length)"
        assert sorted(page.evaluate(seeds)) == [3, 3, 3, 3]
        page.locator("#runs-table").get_by_role("button", name="hide").first.click()
        assert sorted(page.evaluate(seeds)) == [2, 3, 3, 3]


def test_hover_shows_the_number(results):
    tables, path = results
    with opened(path, viewport={"width": 1200, "height": 1400}) as page:
        page.get_by_label("single seeds").check()
        place = page.evaluate(
            """() => {
              const view = [...Bokeh.index].find((one) => one.model.type === "Figure" && one.model.height === 380);
              const one = explorer.shown()[0];
              const [x, y] = [view.frame.x_scale.compute(one.xs[1]), view.frame.y_scale.compute(one.ys[1])];
              const box = view.el.getBoundingClientRect();
              return { x: box.left + x, y: box.top + y, run: one.runs[0].id };
            }"""
        )
        page.mouse.move(place["x"], place["y"])
        said = page.locator(TOOLTIP, has_text="layer 2").first.inner_text()
        rows = tables.layers.query("run == @place['run'] and step == 0 and layer == 2 and part == ''")
        assert float(re.search(r"step 0: (\S+), 1 seed", said)[1]) == pytest.approx(rows["dz_rms"].iloc[0], rel=1e-3)


def test_facets_colors_and_scales(results):
    with opened(results[1]) as page:
        page.locator("#facet").select_option("model.depth")
        assert page.locator("#profiles h4").all_inner_texts() == ["model.depth = 4", "model.depth = 6"]
        page.locator("#quantity").select_option("saturation")
        page.get_by_label("log scale").uncheck()
        page.get_by_label("depth as l / L").check()
        assert max(max(xs) for xs in page.evaluate("explorer.shown().map(one => one.xs)")) == 1


def again(page, address):
    """The page anew at an address."""
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function("document.body.dataset.ready === 'true'")


def test_the_address_keeps_what_is_shown(results):
    with opened(results[1]) as page:
        page.locator("#quantity").select_option("saturation")
        page.locator("#color").select_option("model.activation")
        page.get_by_label("log scale").uncheck()
        page.locator("#legend button", has_text="tanh").click()
        page.locator("#runs-table").get_by_role("button", name="hide").last.click()
        page.evaluate(TO_STEP, 2)
        kept = page.evaluate("JSON.stringify(explorer.shown())")
        again(page, page.url)
        assert page.locator("#quantity").input_value() == "saturation"
        assert not page.get_by_label("log scale").is_checked() and page.get_by_label("hold the y axis").is_checked()
        assert page.locator("#legend button[aria-pressed=false]").inner_text().startswith("tanh")
        assert page.locator("#runs-table").get_by_role("button", name=re.compile("^show .")).count() == 1
        assert page.evaluate("JSON.stringify(explorer.shown())") == kept


def test_what_a_page_does_not_have_is_ignored_in_its_address(results):
    with opened(results[1]) as page:
        before = page.evaluate("JSON.stringify([explorer.view, explorer.shown()])")
        for name in page.evaluate("[...new URLSearchParams(location.search).keys()]"):
            again(page, page.url.partition("?")[0] + f"?{name}=toString")
            assert page.evaluate("JSON.stringify([explorer.view, explorer.shown()])") == before, name


def claims():
    """Three verdicts, of five claims."""
    row = dict.fromkeys(COLUMNS, 0.0) | {"statement": "it <vanishes>", "source": "eq. 1", "reason": "", "part": 1}
    row |= {"quantity": "ratio", "expected_verdict": "holds", "scale": "smoke", "seeds": 3, "exact": False}
    verdicts = ["holds", "refuted", "not measured", "holds", "refuted"]
    return pd.DataFrame([row | {"claim": f"XY-{n:02}", "verdict": verdict} for n, verdict in enumerate(verdicts, 1)])


@pytest.fixture(scope="module")
def claimed(results, tmp_path_factory):
    """The page with five claims."""
    content = Content(
        "x2000",
        pictures={},
        claims=claims(),
        grids={"XY-02": ("deep",)},
        commands={"XY-02": "vgexp reproduce x2000 --scale smoke --only=deep"},
    )
    path = tmp_path_factory.mktemp("claimed") / "page.html"
    path.write_text(render([Path("results/x2000/smoke")], results[0], content))
    return path


TOP = "document.querySelector(':target').getBoundingClientRect().top"


def test_a_link_to_a_place_and_what_is_shown_do_not_push_each_other_out(claimed):
    with opened(claimed) as page:
        page.locator("#quantity").select_option("saturation")
        page.get_by_role("link", name="claims", exact=True).click()
        again(page, page.url)
        assert page.url.endswith("#claims") and abs(page.evaluate(TOP)) < 2
        assert page.locator("#quantity").input_value() == "saturation"


def test_a_link_to_a_claim_opens_it_also_where_its_verdict_is_not_shown(claimed):
    with opened(claimed) as page:
        again(page, page.url + "#XY-03")
        assert page.url.endswith("#XY-03")
        assert page.locator("#claims-list details[open]:visible").get_attribute("id") == "XY-03"
        page.locator("#claims-search").fill("xy-01")
        page.evaluate("location.hash = '#XY-04'")
        assert page.locator("#XY-04[open]").is_visible()


def test_fields_and_open_claims_are_there_again_when_the_page_is_loaded_again(claimed):
    with opened(claimed) as page:
        table = page.locator("#runs-table")
        table.get_by_text("columns").click()
        table.get_by_label("run", exact=True).check()
        table.get_by_label("filter model.activation").fill("relu")
        page.get_by_role("link", name="claims", exact=True).click()
        page.locator("#claims-verdicts").get_by_label("not measured").check()
        page.locator("#claims-order").select_option("verdict")
        page.locator("#XY-05 summary").click()
        page.locator("#claims-search").fill("refuted")
        page.locator("#claims-search").blur()
        page.reload()
        page.wait_for_function("document.body.dataset.ready === 'true'")
        assert page.locator("#claims-search").input_value() == "refuted"
        assert page.locator("#claims-list details:visible").count() == 2
        assert page.locator("#claims-list details[open]").get_attribute("id") == "XY-05"
        assert page.locator("#claims-verdicts").get_by_label("not measured").is_checked()
        assert page.locator("#claims-list details").first.get_attribute("id") == "XY-02"
        assert table.locator("tbody tr").count() == 6
        assert table.locator("thead th").first.inner_text() == "run"


def test_a_box_around_curves_brings_their_networks_forward(results):
    with opened(results[1], viewport={"width": 1200, "height": 3000}) as page:
        box = page.locator("#curves").bounding_box()
        page.mouse.move(box["x"] + 80, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] - 60, steps=5)
        page.mouse.up()
        page.locator("#clear").wait_for()
        assert len(page.evaluate("[...explorer.view.selected]")) > 0
        page.locator("#clear").click()
        assert page.evaluate("explorer.view.selected") is None


def test_claims_are_searched_filtered_and_sorted(claimed):
    with opened(claimed) as page:
        there = page.locator("#claims-list details:visible")
        assert there.count() == 4 and page.locator("#claims-count").inner_text() == "4 of 5 claims"
        page.locator("#claims-verdicts").get_by_label("not measured").check()
        assert there.count() == 5
        page.locator("#claims-order").select_option("verdict")
        assert there.first.get_attribute("id") == "XY-02"
        there.first.locator("summary").click()
        assert "vgexp reproduce x2000 --scale smoke --only=deep" in there.first.inner_text()
        page.locator("#claims-search").fill("xy-04")
        assert there.count() == 1 and "it <vanishes>" in there.first.inner_text()


def test_the_table_of_runs_sorts_filters_and_chooses_columns(results):
    tables, path = results
    with opened(path) as page:
        table = page.locator("#runs-table")
        rows = table.locator("tbody tr")
        assert rows.count() == 12
        table.get_by_label("filter model.activation").fill("relu")
        assert rows.count() == 6
        table.get_by_label("filter model.depth").fill(">4")
        assert rows.count() == 3
        for filter, count in {">=6": 3, ">=4": 6, "<=4": 3, "<4": 0, "=6": 3}.items():
            table.get_by_label("filter model.depth").fill(filter)
            assert rows.count() == count, filter
        table.get_by_label("filter model.depth").fill("")
        table.get_by_label("filter model.activation").fill("")
        header = table.get_by_role("button", name="train loss", exact=True)
        header.click()
        column = table.locator("thead th").all_inner_texts().index("train loss")
        losses = [float(row.locator("td").nth(column).inner_text()) for row in rows.all()]
        assert losses == sorted(losses)
        np.testing.assert_allclose(losses, sorted(tables.runs["final_train_loss"]), rtol=1e-3)
        header.click()
        assert table.locator("th[aria-sort=descending]").count() == 1
        table.get_by_text("columns").click()
        table.get_by_label("run", exact=True).check()
        assert rows.first.locator("code").inner_text() in set(tables.runs["run"])


def test_one_run_in_detail(results):
    with opened(results[1]) as page:
        page.locator("#layer").fill("2")
        page.locator("#layer").dispatch_event("change")
        assert page.locator("#distribution canvas").count() >= 1
        page.locator("#tensor").select_option("spectrum")
        assert page.locator("#distribution canvas").count() >= 1
        page.locator("#run").select_option("5")
        name = page.evaluate("explorer.facts.groups[explorer.facts.runs[5].group].name")
        assert page.locator("#detail-name").inner_text().startswith(name)


def test_what_is_not_finite_is_said_to_be_in_place_of_an_empty_chart():
    shape = ("data=digits", "model.depth=3", "model.width=8", "model.activation=identity", "steps=10", "optim.lr=1e30")
    results = vgexp.run(*shape, "probe=full", "probe.every=1", "probe.histograms=1", "probe.spectra=1", "name=far")
    assert results.runs["diverged_at"].notna().all()
    with opened(write_report(Path("results/far"))) as page:
        assert "1 diverged" in page.locator("body").inner_text()
        page.locator("#layer").fill("2")
        page.locator("#layer").dispatch_event("change")
        for tensor in ("h", "dz", "dw", "spectrum"):
            page.locator("#tensor").select_option(tensor)
            assert page.locator("#distribution canvas").count() >= 1
        page.evaluate(TO_STEP, 10)
        for tensor in ("h", "dz", "dw", "spectrum"):
            page.locator("#tensor").select_option(tensor)
            assert (
                page.locator("#distribution").inner_text() == f"{tensor}, layer 2, step 10: not finite, or all equal."
            )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screens_and_dark_ones(results, scheme):
    with opened(results[1], viewport={"width": 360, "height": 740}, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        back = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert back == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(23, 24, 26)")


def test_what_is_printed_is_light_and_there_at_once(results):
    """The charts too, whose letters are drawn in the page's color: paper is not drawn a second time."""
    pale = """(canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) count += Math.min(...data.slice(i, i + 4)) > 225;
      return count;
    }"""
    with opened(results[1], color_scheme="dark") as page:
        canvas = page.locator("#profiles canvas").first
        page.wait_for_function("[...Bokeh.index].every((one) => one.has_finished())")
        assert canvas.evaluate(pale) > 100
        print_media = "matchMedia('print').addEventListener('change', () => { window.printed = pale(canvas); })"
        canvas.evaluate(f"(canvas) => {{ const pale = {pale}; {print_media} }}")
        page.emulate_media(media="print")
        page.wait_for_function("window.printed !== undefined")
        assert page.evaluate("window.printed") == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_the_keyboard_reaches_what_the_mouse_does(results):
    with opened(results[1]) as page:
        page.locator("#step").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("#step-now").inner_text() == "step 5"
        page.locator("#legend button").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("#legend button[aria-pressed=false]").count() == 1
        assert page.evaluate(UNNAMED) == 0


def test_play_moves_through_training_and_stops(results):
    with opened(results[1]) as page:
        page.locator("#play").click()
        page.wait_for_function("document.getElementById('step-now').textContent === 'step 20'")
        page.wait_for_function("document.getElementById('play').textContent === 'play'")


def test_what_is_drawn_is_said_in_json_without_gaps(results):
    with opened(results[1]) as page:
        facts = json.loads(page.evaluate("JSON.stringify(explorer.facts)"))
        assert {run["id"] for run in facts["runs"]} == set(results[0].runs["run"])
