"""A real browser for pages, offline. Where there is no chromium, the tests that ask for it skip and say so."""

import shutil
from contextlib import contextmanager

import pytest

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
LOCAL = ("file:", "data:", "blob:")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def opened(address, **context):
    """A page from disk or at an address, ready; errors and requests for anything else fail the test."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    served = isinstance(address, str)
    local = (*LOCAL, address) if served else LOCAL
    faults = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(offline=not served, **context).new_page()
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda said: faults.append(f"console: {said.text}") if said.type == "error" else None)
        page.on(
            "request", lambda asked: None if asked.url.startswith(local) else faults.append(f"asked for {asked.url}")
        )
        page.goto(address if served else address.resolve().as_uri())
        page.wait_for_function("document.body.dataset.ready === 'true'", timeout=30_000)
        yield page
        browser.close()
    assert faults == []
