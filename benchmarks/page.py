"""How large the page is, how soon it shows its first picture, and how smoothly its slider moves, in chromium.

    python benchmarks/page.py [--rounds 7]

Every run has a learning rate of its own, so that it is a line of its own. Each round has a browser of its own, which
has kept nothing. The first picture is there when every chart is painted. A frame is one move of the slider, until its
profiles are painted. Given are medians over rounds, with the range of the middle half.
"""

import argparse
import contextlib
import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

import vgexp
from vgexp.pages import write_report

LARGE, STRESS = 200, 60
"""Runs of the page whose size is asked for, and of that whose slider is."""
PAINTED = """window.Bokeh && document.body.dataset.ready === 'true'
  && [...Bokeh.index].every((one) => one.has_finished()) && performance.now()"""
FRAMES = """async () => {
  const view = [...Bokeh.index].find((one) => one.el.closest("#profiles"));
  const slider = document.getElementById("step");
  const paint = view._actual_paint.bind(view);
  let painted = 0;
  view._actual_paint = () => (paint(), painted++);
  const began = performance.now();
  for (let at = 1; at <= Number(slider.max); at++) {
    const before = painted;
    slider.value = at;
    slider.dispatchEvent(new Event("input"));
    while (painted === before) await new Promise(requestAnimationFrame);
  }
  return (1000 * Number(slider.max)) / (performance.now() - began);
}"""


def report(runs: int) -> Path:
    """The page of a sweep over this many learning rates: 20 layers, 50 steps, each recorded."""
    rates = ",".join(f"{rate:.4g}" for rate in np.geomspace(1e-3, 0.3, runs))
    shape = ("data=digits", "model.depth=20", "model.width=16", "steps=50", "probe.every=1")
    vgexp.run(*shape, f"optim.lr={rates}", f"name=page{runs}")
    return write_report(Path(f"results/page{runs}")).resolve()


def opened(path: Path) -> tuple[float, float]:
    """Seconds to the first picture and frames a second of the slider, in a new browser."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(path.as_uri())
        seconds = page.wait_for_function(PAINTED, timeout=60_000).json_value() / 1000
        frames = page.evaluate(FRAMES)
        browser.close()
    return seconds, frames


def median(values: list[float], digits: int) -> str:
    found = sorted(values)
    low, high = found[len(found) // 4], found[-1 - len(found) // 4]
    return f"{statistics.median(found):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        large, stress = report(LARGE), report(STRESS)
        found = {path: [opened(path) for _ in range(rounds)] for path in (large, stress)}
        size = large.stat().st_size / 1e6
    print("| what | runs | median [middle half] | wanted |\n| --- | --- | --- | --- |")
    print(f"| size, MB | {LARGE} | {size:.2f} | <= 5 |")
    for path, runs in ((large, LARGE), (stress, STRESS)):
        seconds, frames = (list(column) for column in zip(*found[path], strict=True))
        print(f"| first picture, s | {runs} | {median(seconds, 2)} | <= 2 |")
        print(f"| frames a second | {runs} | {median(frames, 0)} | {'>= 30' if runs == STRESS else ''} |")


if __name__ == "__main__":
    main()
