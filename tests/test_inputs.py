"""Whatever is typed, and whatever lies in a results folder, a command does its work or says in one line why not.

The exit code is 0, or 2 with one line and every file as it was; no file is waited for, and nothing is carried out.
`python tests/nightly/inputs.py` tries ten times as many.
"""

import os
import pickle
import shutil
import signal
import sys
import threading
import urllib.request
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from functools import cache
from io import BytesIO, TextIOWrapper
from pathlib import Path
from socketserver import BaseServer

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.main import get_command

from vgexp.cli import app
from vgexp.config import FIELDS

DEFAULT = settings.default
assert DEFAULT is not None
TRIED = settings(
    derandomize=settings.get_current_profile_name() != "nightly",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

LIMIT_SECONDS = 300
"""A command that takes longer hangs: it waits for a file."""
QUICK = ("data=digits", "model.depth=1", "model.width=4", "steps=1", "eval.every=never", "name=here")


@pytest.fixture(autouse=True)
def _made_once(monkeypatch):
    """The command line is put together once, and not for every input."""
    monkeypatch.setattr("typer.main.get_command", cache(get_command))


def vgexp_says(*arguments: str) -> tuple[object, str]:
    """The exit code of a command line, and its lines on stderr; both streams are as a terminal's."""
    out, said = (TextIOWrapper(BytesIO(), "utf-8", how, write_through=True) for how in ("strict", "backslashreplace"))
    before, sys.argv = sys.argv, ["vgexp", *arguments]
    signal.alarm(LIMIT_SECONDS)  # ends the tests, with a trace, where a command hangs
    try:
        with redirect_stdout(out), redirect_stderr(said), pytest.raises(SystemExit) as end:
            app.main()
    finally:
        signal.alarm(0)
        sys.argv = before
    return end.value.code, said.buffer.getvalue().decode()


def tree(folder: Path) -> dict[str, object]:
    """Everything below a folder, with the content of its files."""
    return {
        str(path): path.read_bytes() if path.is_file() else path.is_dir() or path.is_symlink()
        for path in sorted(folder.rglob("*"))
    }


NUMBERS = [
    "0",
    "-1",
    "1",
    "3",
    "1e9",
    "1e400",
    "-1e400",
    "nan",
    "1e-320",
    "1e38",
    "1" + "0" * 40,
    "9" * 6000,
    "0.5",
    "1_0",
]
WORDS = [
    "null",
    "true",
    "tanh",
    "auto",
    "''",
    '"',
    "'a",
    "[",
    "]",
    "{a: 1}",
    "[1,2]",
    "[[1]]",
    "[]",
    "{}",
    "größe",
    "\x00",
    "\n",
]
MORE = [
    "../x",
    "/tmp/x",
    "a/../b",
    "con",
    "x" * 300,
    "a b",
    "${seed}",
    "${oc.env:HOME}",
    "\\",
    "\u202e",
    "\udcff",
    "-",
    ".",
]
RANGES = [
    "range(0,1000000000)",
    "range(0,1e400)",
    "range(5,0)",
    "shuffle(range(0,1000000))",
    "glob(*)",
    "choice(1,2)",
    "1,2",
]
values = st.one_of(
    st.sampled_from([*NUMBERS, *WORDS, *MORE, *RANGES]),
    st.sampled_from(NUMBERS + WORDS).flatmap(lambda a: st.sampled_from(NUMBERS + WORDS).map(lambda b: f"[{a},{b}]")),
    st.sampled_from(NUMBERS).map(lambda a: f"{a},{a}"),
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(repr),
)
keys = st.one_of(
    st.sampled_from(sorted(FIELDS)),
    st.sampled_from(sorted(FIELDS)),
    st.sampled_from(
        ["data", "model", "experiment", "hydra/launcher", "hydra.launcher.n_jobs", "hydra.run.dir", "~seed", "+x"]
    ),
    st.text(max_size=8),
)
overrides = st.lists(
    st.one_of(st.builds(lambda key, value: f"{key}={value}", keys, values), st.text(max_size=10)),
    min_size=1,
    max_size=3,
)


@pytest.fixture
def nothing_runs(monkeypatch):
    """What is planned is not launched: what is accepted of overrides is the plan's to say."""
    monkeypatch.setattr("vgexp.experiments.launch.complete", lambda *_: None)
    monkeypatch.setattr("vgexp.experiments.launch._app", lambda *_: None)
    monkeypatch.setattr("vgexp.results.summary.summary", lambda folder: [])


@settings(TRIED, max_examples=int(7 * DEFAULT.max_examples))
@given(overrides=overrides, sweep=st.booleans())
def test_overrides(overrides, sweep, nothing_runs, tmp_path):
    shutil.rmtree(tmp_path / "results", ignore_errors=True)
    code, said = vgexp_says("train", *["-m"] * sweep, "--", *overrides)
    assert code in (0, 2), said
    if code == 2:
        assert len(said.splitlines()) == 1 and said.startswith("vgexp: ") and len(said) < 5000
        assert not list(tmp_path.iterdir())


class Bomb:
    """What a pickle would carry out."""

    def __reduce__(self):
        return os.mkdir, (str(Path(os.environ["VGEXP_TEST_HERE"]) / "carried-out"),)


def fifo(path):
    os.mkfifo(path)


def foreign(**columns):
    return lambda path: pq.write_table(pa.table(columns), path)


def text(content):
    return lambda path: path.write_text(content)


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"no such format" * 50),
    "a pickle": lambda path: path.write_bytes(pickle.dumps(Bomb())),
    "a pipe": fifo,
    "a loop": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "another table": foreign(x=[1, 2]),
    "other types": foreign(run=[1, 2], stack=[None, None], status=[1.5, 2.5], step=["a", "b"], updated=["u", "v"]),
    "no status": foreign(run=["a"], stack=["s"]),
    "nulls": foreign(run=pa.array([None], pa.string()), stack=pa.array([None], pa.string()), status=["done"]),
    "lists": foreign(run=[["a"]], stack=[["b"]], status=[["done"]], step=[[1]]),
    "texts": foreign(run=["a"], stack=["s"], status=["done"], step=["x"], started=["y"], updated=["z"]),
    "an unknown status": foreign(run=["a"], stack=["s"], status=["dancing"]),
    "no rows": foreign(
        run=pa.array([], pa.string()), stack=pa.array([], pa.string()), status=pa.array([], pa.string())
    ),
    "a list": text("[[1], null]"),
    "deep": text("[" * 100_000),
    "a plan of numbers": text('{"runs": {"a": 3}, "grids": {"g": [3, null]}, "again": {"a": "x"}}'),
    "a plan of lists": text(
        '{"runs": {"a": {"seed": [1]}}, "grids": {"g": [["a"]]}, "commands": {"c": [["a"], null]}}'
    ),
    "odd commands": text('{"runs": {"a": {}}, "commands": {"vgexp \'": ["a"], "": []}, "superseded": {"a": "a"}}'),
    "a note of numbers": text('{"process": 3, "runs": 7}'),
    "a note of lists": text('{"process": "x", "runs": [[1], null]}'),
    "an endless number": text('{"runs": {"a": {"seed": ' + "9" * 6000 + "}}}"),
}
PLACES = (
    "plan.json",
    "runs/part-{}.parquet",
    "runs/part-other.parquet",
    "layers/part-{}.parquet",
    "steps/part-{}.parquet",
    "state/{}.pt",
    "state/other.pt",
    "state/other.json",
)
HERE, OTHER = "results/here", "results/other"
PATH, WORD = "a path", "a word"
"""What stands in the table of commands for what is tried there."""
LINKS = ("results/größe [red]", "results/\udcff", "results/$x_{<script>")
"""Other names of the folder with results."""
PATHS = [
    *([HERE] * 10),
    *("", ".", "results", OTHER, "nowhere", "a-file", "a-file/x", "empty", "loop", "pipe", "/dev/null", "/dev/zero"),
    *("results/here/plan.json", "results/here/runs", "results/here/../here", "no-permission", *LINKS),
    *("x" * 300, "x/" * 3000, "a\nb", "\udcff", "\u202e", "$x_{", "</script>", "~", "-"),
]
NAMES = [
    *("dz_rms", "dz_rms", "run", "status", "step", "layer", "seed", "edges", "message", "folder", "final_train_error"),
    *("model.depth", "profile", "profile,curves", "histogram_h", "x" * 3000, "0", "8GB", "1"),
]
COMMANDS = (
    *(("train", *QUICK), ("train", "-m", *QUICK, "seed=0,1"), ("train", "--config-dir", PATH, "--cfg", WORD, "seed=x")),
    *(("status", "--all", PATH), ("status", WORD), ("export", PATH), ("export", HERE, "--out", PATH)),
    *(
        ("mv", PATH, "results/there"),
        ("mv", HERE, PATH),
        ("rm", "--yes", PATH),
        ("compact", PATH),
        ("compact", HERE, OTHER),
    ),
    *(("report", PATH), ("view", PATH), ("view", HERE, "--port", WORD)),
    *(("plot", PATH, "--out", PATH), ("plot", HERE, PATH), ("plot", HERE, "--x", WORD, "--y", WORD)),
    *(("plot", HERE, option, WORD) for option in ("--y", "--color", "--facet", "--step", "--only")),
    *(("predict", WORD), ("predict", "-m", WORD), ("predict", *QUICK, "--budget", WORD)),
    *(("diagnose", WORD), ("diagnose", "torch.nn:Identity", "--input-shape", WORD)),
    *(("data", "fetch", WORD), ("data", WORD), ("data", "fetch", "mnist", "--from", PATH)),
    *(("papers", "--config-dir", PATH), ("--import", WORD, "papers"), (WORD,), (WORD, HERE)),
    *(("reproduce", "chen2016", "--dry-run", option, WORD) for option in ("--scale", "--only")),
    ("reproduce", WORD, "--dry-run"),
)
WRITTEN = ("report.html", "figures", "csv", "state", "part-", "plan.json")
"""What commands write, or remove, in a folder of results."""


def told(command: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    """The command with something in the places of paths and words."""
    words = [word for word in [*NAMES, *NUMBERS, *WORDS, *MORE] if "\0" not in word]  # which ends an argument
    tried = {PATH: st.sampled_from(PATHS), WORD: st.sampled_from(words)}
    return st.tuples(*(tried.get(word, st.just(word)) for word in command))


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Folders with results, beside files that are none."""
    place = tmp_path_factory.mktemp("whole")
    with chdir(place):
        assert vgexp_says("train", *QUICK)[0] == 0
        assert vgexp_says("train", "-m", *QUICK[:-1], "seed=0,1", "name=other")[0] == 0
        Path(HERE, "notes.txt").write_text("mine")
        Path("a-file").write_text("mine")
        Path("empty").mkdir()
    return place


@pytest.fixture
def read_once(monkeypatch):
    """A reader of `view` asks once, and is answered. Figures are rendered by the nightly tests alone: it takes long."""

    def serve(server):
        threading.Thread(target=BaseServer.serve_forever, args=(server, 0.01)).start()
        try:
            for path in ("", "state"):
                address = f"http://127.0.0.1:{server.server_address[1]}/{path}"
                with urllib.request.urlopen(address, timeout=LIMIT_SECONDS) as answer:
                    answer.read()
        finally:
            server.shutdown()

    def savefig(figure, stream, **options):
        stream.write("<svg></svg>" if options["format"] == "svg" else b"a picture")

    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", serve)
    if settings.get_current_profile_name() != "nightly":
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", savefig)


@settings(TRIED, max_examples=int(3 * DEFAULT.max_examples))
@given(
    command=st.sampled_from(COMMANDS).flatmap(told),
    damage=st.none() | st.tuples(st.sampled_from(PLACES), st.sampled_from(sorted(DAMAGES))),
)
def test_commands(command, damage, whole, read_once, tmp_path, monkeypatch):
    monkeypatch.setenv("VGEXP_TEST_HERE", str(tmp_path))
    monkeypatch.setenv("VGEXP_IMPORT", "")
    for left in tmp_path.iterdir():
        if left.is_dir() and not left.is_symlink():
            left.chmod(0o700)
            shutil.rmtree(left)
        else:
            left.unlink()
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for link in LINKS:
        (tmp_path / link).symlink_to("here")
    (tmp_path / "no-permission").mkdir(0)
    if damage is not None:
        part = next((tmp_path / HERE / "runs").iterdir()).stem.removeprefix("part-")
        path = tmp_path / HERE / damage[0].format(part)
        path.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            path.unlink()
        DAMAGES[damage[1]](path)
    before = tree(tmp_path)
    code, said = vgexp_says(*command)
    assert code in ((0, 2, 3) if command[0] == "diagnose" else (0, 2)), said
    assert "Traceback" not in said and not (tmp_path / "carried-out").exists()
    after = tree(tmp_path)
    if code == 2:
        lines = [line for line in said.splitlines() if "damaged" not in line and "skipped" not in line]
        assert [line.startswith("vgexp: ") for line in lines] == [True] and len(lines[0]) < 5000
        assert after == before
    elif command[0] == "rm":
        removed = Path(command[2]).resolve()
        assert {name: after.get(name) for name in before if not Path(name).is_relative_to(removed)} == after
    elif command[0] == "mv":
        assert Path(command[2]).is_dir() and len(after) >= len(before)
    else:
        changed = [name for name in before if before[name] != after.get(name)]
        assert [name for name in changed if not any(part in name for part in WRITTEN)] == []
        lost = [name for name in before if name not in after and "/state/" not in name]
        assert command[0] == "compact" or all(Path(f"{name}.damaged").exists() for name in lost), lost


HEAD = "# @package _global_\n"
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)
CALLED = "{_target_: os.mkdir, path: carried-out}"
LINES = [
    "model: {depth: 2, width: 4}",
    "scales: {smoke: {a: ['seed=0,1'], b: [[seed=3]]}}",
    *(f"steps: {value}" for value in ["1", "1", "9" * 6000, "1e400", "[1]", "!!int abc", "!mine 3", "0b1", "-1"]),
    *(f"name: {value}" for value in ["2001-99-01", "!!binary abcd", "!!set {a}", "*nowhere", "&a [*a]", "'../x'"]),
    *(f"name: {value}" for value in ["${name}", "${nowhere}", "${", "${oc.env:HOME}", '"a\\0b"', '"\\ud800"', "."]),
    *(f"name: {tag}" for tag in ["!!python/object/apply:os.mkdir [carried-out]", "!!python/name:os.system", CALLED]),
    *(f"hydra: {value}" for value in ["3", "{run: {dir: carried-out}}", "{callbacks: {x: " + CALLED + "}}"]),
    "hydra: {launcher: " + CALLED + "}",
    *(f"defaults: {value}" for value in ["3", "[nowhere]", "[_self_, mine]", "[3, [1]]", "[/data: digits]"]),
    *(f"scales: {value}" for value in ["3", "[1]", "{smoke: 3}", "{3: {4: [seed=0]}}", "{smoke: {a: [3, seed]}}"]),
    "\tsteps: 1",
    "<<: 3",
    "? {a: 1}\n: 3",
    "null: 3",
    "nosuch: &x {a: 1}",
    "---",
    "name: " + "[" * 3000 + "]" * 3000,
    "name: " + "{a: " * 2000 + "1" + "}" * 2000,
    "name: \x00",
    BOMB,
]
texts = st.builds(
    lambda head, lines, cut: (head + "\n".join(lines))[:cut].encode(),
    st.sampled_from([HEAD, HEAD, HEAD, "", "# @package hydra\n", "# @package\n", "\ufeff" + HEAD]),
    st.lists(st.sampled_from(LINES), max_size=3),
    st.one_of(st.none(), st.none(), st.integers(20, 100)),
)
contents = st.one_of(texts, texts, st.binary(max_size=30), st.sampled_from([b"hello", HEAD.encode("utf-16")]))
READ = (
    ("train", "--dry-run", "experiment=mine"),
    ("train", "--cfg", "job", "experiment=mine"),
    ("reproduce", "chen2016", "--only", "nowhere", "--dry-run"),
)


@settings(TRIED, max_examples=int(DEFAULT.max_examples))
@given(content=contents, arguments=st.sampled_from(READ))
def test_config_files(content, arguments, tmp_path):
    folder = tmp_path / "conf/experiment"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.yaml").write_bytes(content)
    code, said = vgexp_says(*arguments, "--config-dir", "conf")
    assert code in (0, 2), said
    assert list(tmp_path.rglob("*")) == [tmp_path / "conf", folder, folder / "mine.yaml"]
    if code == 2 and not said.startswith("vgexp: only: got 'nowhere'"):
        assert len(said.splitlines()) == 1 and "mine.yaml" in said and len(said) < 1000


@pytest.mark.parametrize("damage", ["a pipe", "a device", "a loop", "a link to nothing", "a folder"])
@pytest.mark.parametrize("arguments", READ)
def test_what_is_no_config_file(damage, arguments, tmp_path):
    (tmp_path / "conf/experiment").mkdir(parents=True)
    DAMAGES[damage](tmp_path / "conf/experiment/mine.yaml")
    code, said = vgexp_says(*arguments, "--config-dir", "conf")
    assert code == 2 and len(said.splitlines()) == 1 and "mine" in said
