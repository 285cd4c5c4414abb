import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import opened

import vgexp
from vgexp.config import ConfigError
from vgexp.pages.page import Content, render
from vgexp.pages.server import server
from vgexp.results import compare

SMALL = ("data=digits", "model.depth=3", "model.width=8", "steps=2", "seed=0,1")
COUNT_LOOKS = """() => {
  const fetched = window.fetch;
  window.looks = 0;
  window.fetch = (...asked) => { window.looks += 1; return fetched(...asked); };
}"""


@contextmanager
def served(*folders):
    """The address of a server of folders, and how often the page was made."""
    made = []

    def make():
        made.append(1)
        return render(folders, compare(*folders), Content())

    running = server(folders, make, 0)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}/", made
    finally:
        running.shutdown()
        running.server_close()


def get(address, **headers):
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
        return answer.read().decode()


def test_the_page_is_made_when_the_tables_change_and_nothing_is_written():
    vgexp.run(*SMALL, "name=one")
    folder = Path("results/one")
    files = sorted(folder.rglob("*"))
    with served(folder) as (address, made):
        assert "2 done" in get(address)
        get(address)
        assert len(made) == 1
        before = json.loads(get(address + "state"))
        assert before["runs"] == {"done": 2, "running": 0, "failed": 0, "missing": 0}
        assert sorted(folder.rglob("*")) == files
        vgexp.run(*SMALL[:-1], "seed=2", "name=one")
        assert json.loads(get(address + "state"))["stamp"] != before["stamp"]
        assert "3 done" in get(address)
        assert len(made) == 2


def test_it_answers_this_computer_alone_and_no_other_path():
    vgexp.run(*SMALL, "name=one")
    with served(Path("results/one")) as (address, _):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get(address, Host="example.org")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(address + "../plan.json")


def test_a_port_that_is_taken():
    with served(Path("results/none")) as (address, _), pytest.raises(ConfigError, match="--port: got"):
        server([], str, int(address.rstrip("/").rpartition(":")[2]))


def test_several_folders_compared_in_a_browser_while_one_goes_on():
    vgexp.run(*SMALL, "name=one")
    vgexp.run(*SMALL, "model.activation=relu", "name=two")
    with served(Path("results/one"), Path("results/two")) as (address, made), opened(address) as page:
        assert page.locator("#progress").inner_text().strip() == "4 of 4 runs done"
        assert "model.activation" in page.locator("#color").inner_text()
        page.locator("#color").select_option("model.activation")
        page.locator("#runs-table thead input").first.focus()
        page.evaluate(COUNT_LOOKS)
        vgexp.run(*SMALL[:-1], "seed=5", "name=one")
        page.wait_for_function("document.body.innerText.includes('there is more to see')", timeout=20_000)
        looks = page.evaluate("window.looks")
        page.wait_for_function(f"window.looks > {looks} + 1", timeout=20_000)  # and it is still the same page
        page.locator("#runs-table thead input").first.blur()
        page.wait_for_function("document.body.innerText.includes('5 done')", timeout=20_000)  # when it has come anew
        assert len(made) == 2 and page.locator("#color").input_value() == "model.activation"
        page.wait_for_function("document.body.innerText.includes('5 of 5 runs done')", timeout=20_000)


def test_folders_that_are_gone_meanwhile_are_an_answer_too(capfd):
    vgexp.run(*SMALL, "name=one")
    with served(Path("results/one")) as (address, _):
        Path("results/one").rename("elsewhere")
        with pytest.raises(urllib.error.HTTPError, match="500") as refused:
            get(address)
        refused.value.close()
        Path("elsewhere").rename("results/one")
        assert "2 done" in get(address)
    said = capfd.readouterr().err.splitlines()
    assert said[-1] == "vgexp: /: ResultsError: results/one: no results here (no plan.json and no runs/)"
    assert not any("Traceback" in line for line in said)


def test_the_page_tells_what_cannot_be_read_from_what_has_ended():
    vgexp.run(*SMALL, "name=one")
    with served(Path("results/one")) as (address, _), opened(address) as page:
        for fetched, said in {
            "async () => new Response('', { status: 500 })": "could not be read just now",
            "async () => { throw new TypeError('refused'); }": "vgexp view has ended",
        }.items():
            page.evaluate(f"() => {{ window.fetch = {fetched}; }}")
            page.wait_for_function(f"document.getElementById('progress').textContent.includes('{said}')")
