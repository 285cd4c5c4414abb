"""A real browser for pages, offline. Where there is no chromium, the tests that ask for it skip and say so."""

import shutil
from contextlib import contextmanager

import pytest

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
LOCAL = ("file:", "data:", "blob:")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def opened(path, **context):
    """A page from disk, ready; errors, console errors and requests for anything else fail the test."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    faults = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(offline=True, **context).new_page()
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda said: faults.append(f"console: {said.text}") if said.type == "error" else None)
        page.on(
            "request", lambda asked: None if asked.url.startswith(LOCAL) else faults.append(f"asked for {asked.url}")
        )
        page.goto(path.resolve().as_uri())
        page.wait_for_function("document.body.dataset.ready === 'true'", timeout=30_000)
        yield page
        browser.close()
    assert faults == []
