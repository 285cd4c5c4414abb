"""The command line, as a person meets it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pandas as pd
import pytest
import typer

import vgexp
from vgexp.cli import app, reading
from vgexp.networks.activations import ACTIVATIONS
from vgexp.results.status import folder_status

QUICK = ["data=digits", "model.depth=5", "model.width=8", "steps=20", "name=train"]


def vgexp_command(monkeypatch, *arguments):
    """Exit code of the console script, in this process."""
    monkeypatch.setattr(sys, "argv", ["vgexp", *arguments])
    with pytest.raises(SystemExit) as end:
        app.main()
    return end.value.code


BAD = [
    (
        ["model.depht=3"],
        "model.depht: got 'model.depht=3', accepts only fields of the config (did you mean model.depth?)",
    ),
    (["+model.new=3"], "accepts only fields of the config"),
    (["=3"], "override: got '=3', accepts field=value"),
    ([""], "override: got '', accepts field=value"),
    (["seed"], "override: got 'seed', accepts field=value"),
    (["name='a"], "accepts field=value"),
    (["seed="], "seed: got '', accepts an integer"),
    (["~seed"], "seed: got '~seed', accepts seed=value alone"),
    (["++seed=1"], "seed: got '++seed=1', accepts seed=value alone"),
    (["steps=${nope}"], "steps: got '${nope}', accepts an integer"),
    (["steps=${oc.env:NOPE}"], "accepts an integer"),
    (["seed=0", "seed=x"], "seed: got 'x', accepts an integer"),
    (["-m", "optim.lr=0.1,x", "steps=3", "optim.lr=y"], "optim.lr: got 'y', accepts a number"),
    (["-m", "optim.momentum=0.5", "optim.momentum=0.1,0.2"], "optim.momentum: got '0.1,0.2', accepts one value"),
    (["hydra.run.dir=x"], "hydra.run.dir: got 'hydra.run.dir=x', accepts hydra/launcher"),
    (["hydra.launcher.foo=3"], "hydra.launcher.foo: got '3', accepts only fields of the launcher"),
    (["--foo"], "No such option: --foo"),
    (["--cfg", "jobs"], "--cfg: got 'jobs', accepts job, hydra, all"),
    (["--config-dir", "nowhere"], "--config-dir: got 'nowhere', accepts a folder"),
    (["--import"], "--import: got '', accepts a module"),
    (["data.range=[0,[1]]"], "data.range: got [0.0, [1]], accepts two increasing numbers"),
    (["only=[tanh]"], "only: got ['tanh'], accepts null where there is no scale"),
    (["-m", "seed=range(0,0)"], "seed: got 'range(0,0)', accepts a list of choices"),
    (["-m", "data=glob(*)"], "data: got 'glob(*)', accepts a list of choices"),
    (["model.depth=deep"], "model.depth: got 'deep', accepts an integer"),
    (["model.depth=0"], "model.depth: got 0, accepts an integer of at least 1"),
    (["model.width=[5,5]"], "model.width: got [5, 5], accepts one integer for each of the 5 layers"),
    (["model.width=wide"], "model.width: got 'wide', accepts an integer of at least 1, or a list"),
    (["model.activation=tahn"], "(did you mean tanh?)"),
    (["init.name=kaiming"], "init.name: got 'kaiming', accepts standard, glorot, he"),
    (["init.sigma_w=-1"], "init.sigma_w: got -1.0, accepts a positive number"),
    (["init.name=orthogonal", "init.distribution=uniform"], "init.distribution: got 'uniform', accepts haar"),
    (["init.name=critical", "model.activation=softplus"], "init.name: got 'critical', accepts standard, glorot, he"),
    (["init.name=critical", "model.activation=gelu", "init.sigma_b=0.1"], "init.sigma_b: got 0.1, accepts 0 for the"),
    (["init.name=mup", "init.base_width=1"], "init.base_width: got 1, accepts an integer of at least 2"),
    (
        ["init.name=fixup"],
        "model.family: got 'plain', accepts residual with init.name=fixup, which is for model.family",
    ),
    (
        ["model.family=residual", "model.scalars=fixup", "model.branch_layers=2", "model.norm=layer"],
        "model.norm: got 'layer', accepts none with model.scalars=fixup, which is for model.family=residual",
    ),
    (["model.scalars=fixpu"], "model.scalars: got 'fixpu', accepts none, fixup (did you mean fixup?)"),
    (["init.name=lsuv", "init.sigma_b=1"], "init.sigma_b: got 1.0, accepts a number below 1 with init.name=lsuv"),
    # What is typed and read by nothing.
    (
        ["model.placement=post"],
        "model.placement: got 'post', accepts pre with model.family=plain; read with model.family=",
    ),
    (
        ["model.norm=layer", "model.family=highway"],
        "model.norm: got 'layer', accepts none with model.family=highway; read with model.family=plain, residual",
    ),
    (
        ["model.norm_at=after"],
        "model.norm_at: got 'after', accepts before with model.norm=none; read with model.norm=batch",
    ),
    (["model.gate_bias=1"], "model.gate_bias: got 1.0, accepts -2.0 with model.family=plain"),
    (["model.scalars=fixup"], "model.scalars: got 'fixup', accepts none with model.family=plain"),
    (["optim.momentum=0.5"], "optim.momentum: got 0.5, accepts 0.9 with optim.name=sgd; read with"),
    (["init.base_width=32"], "init.base_width: got 32, accepts 64 with init.name=glorot; read with init.name=mup"),
    (["checkpoint.every=3"], "checkpoint.every: got 3, accepts sqrt with memory=store; read with memory=checkpoint"),
    (["-m", "model.family=plain,highway", "model.growth=3"], "model.growth: got 3, accepts 16 with model.family=plain"),
    (["model.family=dense", "model.growth=1000000000"], "model.growth: got 1000000000, accepts at most "),
    (["optim.lr=fast"], "optim.lr: got 'fast', accepts a number"),
    (["optim.lr=nan"], "optim.lr: got nan, accepts a number of at least 0"),
    (["optim.weight_decay=-1"], "optim.weight_decay: got -1.0, accepts a number of at least 0"),
    (["optim.weight_decay=nan"], "optim.weight_decay: got nan, accepts a number of at least 0"),
    (["optim.weight_decay=inf"], "optim.weight_decay: got inf, accepts a number of at least 0"),
    (["optim.weight_decay=null"], "optim.weight_decay: got 'null', accepts a number of at least 0"),
    (["optim.clip=0"], "optim.clip: got 0.0, accepts a positive number, or null for none"),
    (["optim.clip=-1"], "optim.clip: got -1.0, accepts a positive number, or null for none"),
    (["optim.clip=nan"], "optim.clip: got nan, accepts a positive number, or null for none"),
    (["optim.clip=inf"], "optim.clip: got inf, accepts a positive number, or null for none"),
    (["optim.clip=tight"], "optim.clip: got 'tight', accepts a positive number, or null for none"),
    (["optim.warmup=-1"], "optim.warmup: got -1, accepts an integer of at least 0"),
    (["optim.warmup=1.5"], "optim.warmup: got '1.5', accepts an integer of at least 0"),
    (["optim.warmup=nan"], "optim.warmup: got 'nan', accepts an integer of at least 0"),
    (["optim.schedule=cosin"], "optim.schedule: got 'cosin', accepts constant, cosine (did you mean cosine?)"),
    (["-m", "optim.clip=null,1,0"], "optim.clip: got 0.0, accepts a positive number, or null for none"),
    (["data=imagenet"], "data: got 'imagenet', accepts cifar10, digits, mnist, shapeset"),
    (["data=digits", "data.batch_size=5000"], "data.batch_size: got 5000, accepts at most 1197 (digits)"),
    (["data.range=[1,0]"], "data.range: got [1.0, 0.0], accepts two increasing numbers"),
    (["model.depth=1000000"], "model.depth: got 1000000, accepts at most "),
    (["model.width=1000000000"], "model.width: got 1000000000, accepts at most "),
    (["model.depth=10000000"], "model.depth: got 10000000, accepts at most "),
    (["data.batch_size=1000000000000"], "data.batch_size: got 1000000000000, accepts at most "),
    (["steps=1000000000000000000"], "accepts an integer of at least 0, at most 10000000000"),
    (["optim.warmup=1000000000000000000"], "accepts an integer of at least 0, at most 10000000000"),
    (["threads=1000000000"], "threads: got 1000000000, accepts an integer of at least 1, or null; at most 1024"),
    (["jobs=1000000000"], "jobs: got 1000000000, accepts an integer of at least 1, or null; at most 1024"),
    (["optim.lr=1e400"], "optim.lr: got inf, accepts a number of at least 0"),
    (
        ["init.sigma_w=1e170"],
        "init.sigma_w: got 1e+170, accepts a positive number, or null for the law's own, no larger",
    ),
    (["data.range=[0,1e308]"], "data.range: got [0.0, 1e+308], accepts two increasing numbers: "),
    (["model.family=residual", f"model.branch=1{'0' * 40}"], "0, accepts a finite number, 1/sqrt(L), or learned"),
    (["-m", "seed=range(0,1000000000)"], "they make 1000000000 runs, of which a sweep has 100000 at most"),
    (["-m", "seed=shuffle(range(0,1000000000))"], "they make 1000000000 runs, of which a sweep has 100000 at most"),
    (["-m", "optim.lr=range(0,1,1e-9)"], "they make 1000000000 runs, of which a sweep has 100000 at most"),
    (
        ["-m", *(f"{key}=range(1,1001)" for key in ("seed", "model.depth", "steps"))],
        "they make 1000000000 runs, of which a sweep has 100000 at most",
    ),
    (["-m", "seed=range(0,1e400)"], "seed: got 'range(0,1e400)', accepts a list of choices or range(...)"),
    (["-m", "seed=range(nan,5)"], "seed: got 'range(nan,5)', accepts a list of choices or range(...)"),
    (["-m", "seed=range(0,5,0)"], "seed: got 'range(0,5,0)', accepts a list of choices or range(...)"),
    (["seed=4294967296"], "seed: got 4294967296, accepts an integer from 0 to 4294967295"),
    (["steps=-1"], "steps: got -1, accepts an integer of at least 0"),
    (["probe.every=sometimes"], "probe.every: got 'sometimes', accepts never, start"),
    (["probe.every=[0,99]", "steps=10"], "probe.every: got [0, 99], accepts steps up to 10"),
    (["data=mnist"], "data.name: got 'mnist', accepts a data set whose files are whole: mnist is not on this computer"),
    (
        ["data=mnist"],
        "(vgexp data fetch mnist, vgexp data fetch mnist --from FOLDER, or vgexp data fetch mnist --from URL)",
    ),
    (["memory=invert"], "memory: got 'invert', accepts store"),
    (["device=cuda:7"], "device: got 'cuda:7', accepts auto, cpu, cuda"),
    (["max_members=none"], "max_members: got 'none', accepts auto, or an integer"),
    (["seed=0,1"], "seed: got '0,1', accepts one value; for a sweep type `vgexp train -m ...`"),
    (["optim.lr=[1"], "accepts field=value"),
    (["name=../elsewhere"], "name: got '../elsewhere', accepts a relative folder name"),
    (["hydra/launcher=nope"], "hydra/launcher: got 'nope'"),
    (["scale=smoke"], "scale: got 'smoke', accepts no scale: this is no experiment"),
    # In a sweep the bad member is found before the good ones start.
    (["-m", "seed=0,1", "init.name=he,hee"], "init.name: got 'hee', accepts"),
    (["-m", "model.depth=3,x"], "model.depth: got 'x', accepts an integer"),
    (["-m", "seed=0,1.5"], "seed: got '1.5', accepts an integer"),
    (["-m", "optim.lr=interval(0,1)"], "accepts a list of choices or range"),
    (["-m", "name=a,b"], "accepts one folder a sweep"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda value: value if isinstance(value, str) else None)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, message, monkeypatch, capsys):
    assert vgexp_command(monkeypatch, "train", *arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("vgexp: ")
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert list(Path().iterdir()) == []


HEAVY = """
import sys
from vgexp.cli import app
for arguments in {lines}:
    sys.argv = ["vgexp", *arguments]
    try:
        app.main()
    except SystemExit as end:
        print(end.code, file=sys.stderr)
    loaded = {{"torch", "pandas", "scipy", "matplotlib", "sklearn"}} & set(sys.modules)
    assert not loaded, (arguments, loaded)
"""


def test_what_a_command_needs_no_torch_for_loads_none():
    vgexp.run(*QUICK, "name=here")
    quick = [["--help"], ["status", "results/here"], ["status", "nowhere"], []]
    wrong = [["model.dept=3"], ["model.depth=x"], ["model.depth=0"], ["optim.lr=[1"], ["seed=0,1"], ["--foo"]]
    lines = [*quick, *(["train", *each] for each in wrong), ["train", "-m", "seed=0,1.5"], ["train", "--cfg", "job"]]
    done = subprocess.run([sys.executable, "-c", HEAVY.format(lines=lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    codes = [int(line) for line in done.stderr.splitlines() if line.isdigit()]
    assert codes == [0, 0, 2, 2, *[2] * len(wrong), 2, 0]


def test_a_train_with_nothing_left_to_do_loads_no_pandas():
    vgexp.run(*QUICK, "steps=0")
    code = "import sys\nfrom vgexp.cli import main\ntry: main()\nexcept SystemExit: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "train", *QUICK, "steps=0"], capture_output=True, text=True)
    assert "1 run, 1 already done" in done.stderr
    heavy = {"pandas", "scipy", "matplotlib", "sklearn", "requests", "xarray", "torch._dynamo"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command; `vgexp --help`"),
        (["data"], "Missing command; `vgexp data --help`"),
        (["status"], "Missing argument 'folder'"),
        (["reproduce", "glorot2010", "scale=huge"], "scale: got 'huge', accepts smoke"),
        (["reproduce", "glorot2010", "--only", ""], "only: got '', accepts plateau, training, initial"),
        (["predict", "--budget", "8"], "--budget: got '8', accepts a size in memory of at least 1kB"),
        (["predict", "model.placement=post"], "model.placement: got 'post', accepts pre with model.family=plain"),
        (
            ["predict", "-m", "model.gate_bias=1", "seed=0,1"],
            "model.gate_bias: got 1.0, accepts -2.0 with model.family=",
        ),
        (
            ["predict", "-m", "model.gate_bias=1,2"],
            "model.gate_bias: got '1,2', accepts one value: it makes no difference",
        ),
        (["predict", "model.family=dense", "model.growth=1000000000"], "model.growth: got 1000000000, accepts at most"),
        (["predict", "init.name=fixup"], "model.family: got 'plain', accepts residual with init.name=fixup"),
        (["predict", "--foo"], "No such option: --foo; `vgexp predict --help` shows what there is"),
        (["predict", "seed=0,1"], "seed: got '0,1', accepts one value; for several type `vgexp predict -m ...`"),
        (["train", "-m", "--cfg", "job", "model.depth=1,2"], "model.depth: got '1,2', accepts one value with --cfg"),
        (["plot", ".", "--step", "x"], "Invalid value for '--step'"),
        (["predict", "model.depth=1000000"], "model.depth: got 1000000, accepts at most 10000 for a prediction"),
        (["predict", "-m", "model.depth=5,1000000"], "model.depth: got 1000000, accepts at most 10000 for a"),
        (["predict", "model.family=dense", "model.depth=2000"], "model.depth: got 2000, accepts at most 1000 for a"),
        (
            ["predict", "data.batch_size=1000000000000"],
            "accepts at most 10000 for a prediction, which looks at a batch",
        ),
        (["predict", "model.norm=batch", "data.batch_size=5000"], "data.batch_size: got 5000, accepts at most 1000"),
        (["predict", "init.sigma_w=1e170"], "init.sigma_w: got 1e+170, accepts a positive number"),
        (["reproduce", "glorot2011"], "PAPER: got 'glorot2011', accepts baydin2018, chen2016, glorot2010"),
        (["reproduce", "glorot2010", "--scale", "huge"], "scale: got 'huge', accepts smoke"),
        (["reproduce", "glorot2010", "--only", "tanhh"], "only: got 'tanhh', accepts plateau, training, initial"),
        (["data", "fetch", "minst"], "NAME: got 'minst', accepts mnist, cifar10"),
        (
            ["data", "fetch", "mnist", "--from", "nowhere"],
            "--from: got 'nowhere', accepts a folder, or a URL that begins",
        ),
        (["report", "nowhere"], "nowhere: no results here"),
        (["status", "nowhere"], "nowhere: no results here"),
        (["plot", "nowhere"], "nowhere: no results here"),
        (["report", "x" * 300], "plan.json: has a longer name than a file can have"),
        (["plot", "nowhere", "nowhere\udcff"], "nowhere: no results here"),
        (["status", "nowhere", "x" * 5000], "unexpected extra argument"),
        (["predict", "model.depth=1,2"], "model.depth: got '1,2', accepts one value"),
        (["predict", "--budget", "much"], "--budget: got 'much', accepts a size in memory of at least 1kB: 8GB"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["--import", "no_such_module", "train", *QUICK], "--import: got 'no_such_module', accepts a module"),
    ],
)
def test_other_commands_too(arguments, message, monkeypatch, capsys):
    assert vgexp_command(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert message in said and len(said) < 2000
    assert len(said.splitlines()) == 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", *QUICK], "results"),
        (["status", "results"], "results: no results here"),
        (["plot", "good", "--out", "results"], "results"),
        (["export", "good", "--out", "results/csv"], "results"),
    ],
)
def test_a_file_where_a_folder_is_due(arguments, message, monkeypatch, capsys):
    results = vgexp.run(*QUICK, "steps=0")
    Path("results/train").rename("good")
    assert len(results.runs) == 1
    Path("results").rmdir()
    Path("results").write_text("a file")
    assert vgexp_command(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("vgexp: ") and message in said and "Error" not in said


@pytest.mark.parametrize("command", ["report", "plot", "view", "compact"])
def test_a_link_to_itself(command, monkeypatch, capsys):
    Path("loop").symlink_to("loop")
    assert vgexp_command(monkeypatch, command, "loop") == 2
    assert capsys.readouterr().err == "vgexp: loop: no results here (no plan.json and no runs/)\n"


def test_what_a_terminal_cannot_show_is_no_error(monkeypatch):
    vgexp.run(*QUICK, "steps=0")
    shown = TextIOWrapper(BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", shown)
    assert vgexp_command(monkeypatch, "export", "results/train", "--out", "größe\udcff") == 0
    assert b"gr\\xf6\\xdfe\\udcff" in shown.buffer.getvalue() and Path("größe\udcff/runs.csv").exists()


def test_closed_streams_are_no_error():
    """Of the command, nor of its workers."""
    command = ["train", "-m", *QUICK, "steps=1", "model.depth=1,2", "hydra/launcher=joblib"]
    done = subprocess.run(["sh", "-c", '"$0" -m vgexp "$@" >&- 2>&-', sys.executable, *command])
    assert done.returncode == 0
    assert {run.status for run in folder_status(Path("results/train")).runs} == {"done"}


def test_a_folder_that_may_not_be_written(monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "results")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert vgexp_command(monkeypatch, "train", *QUICK) == 2
    assert capsys.readouterr().err == "vgexp: results: may not be read or written by you\n"


def test_an_import_may_stand_anywhere(monkeypatch, capsys, tmp_path):
    (tmp_path / "bow.py").write_text("from vgexp.networks import ACTIVATIONS\nACTIVATIONS['bow'] = ACTIVATIONS['tanh']")
    (tmp_path / "wrong.py").write_text("def f(:")
    train = ["train", *QUICK, "steps=0", "model.activation=bow"]
    assert vgexp_command(monkeypatch, *train, "--import", "bow") == 0
    assert vgexp_command(monkeypatch, "train", "--import=bow", *train[1:]) == 0
    assert vgexp_command(monkeypatch, *train, "--import", "wrong") == 2
    assert "--import: got 'wrong', accepts a module that can be imported (SyntaxError" in capsys.readouterr().err
    ACTIVATIONS.pop("bow")


BENGIO = """
from vgexp.claims import Claim, Criterion, Grid
from vgexp.figures import draw_all

CITATION = "Bengio et al. (1994), Learning long-term dependencies with gradient descent is difficult"
INTRO = "Mine."
depth = Criterion("hidden layers", 3, 5, lambda r: Grid("shallow").runs(r, "model.depth"), 4)
CLAIMS = (Claim("B-01", "Networks have layers.", "section 1", (depth,), grids=("shallow",)),)
FIGURES = {"profile": lambda results: draw_all(results)["profile"]}
"""
GRIDS = """# @package _global_
name: bengio1994
data: {name: digits}
model: {depth: 4, width: 8}
scales:
  tiny:
    shallow: ['seed=0,1', steps=0]
"""


def test_a_paper_of_ones_own(monkeypatch, capsys, tmp_path):
    """A module from outside and an experiment file, each found by its folder."""
    for folder in ("mypapers", "conf/experiment"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mypapers/bengio1994.py").write_text(BENGIO)
    (tmp_path / "conf/experiment/bengio1994.yaml").write_text(GRIDS)
    mine = ["bengio1994", "--import", "mypapers.bengio1994"]
    assert vgexp_command(monkeypatch, "reproduce", *mine, "-cd", "conf", "--scale", "tiny") == 0
    page = Path("results/bengio1994/tiny/report.html")
    following = "vgexp --import=mypapers.bengio1994 view results/bengio1994/tiny"
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {page}    next: {following}"
    assert "Learning long-term dependencies" in page.read_text()
    assert pd.read_csv("results/bengio1994/tiny/claims.csv")["verdict"].tolist() == ["holds"]
    page.unlink()
    assert vgexp_command(monkeypatch, "report", str(page.parent), *mine[1:]) == 0
    assert "Learning long-term dependencies" in page.read_text()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("VGEXP_IMPORT", "")
    assert vgexp_command(monkeypatch, "report", str(page.parent)) == 0
    assert "no paper is called bengio1994: the page is without its claims; --import" in capsys.readouterr().err
    train = ["train", "--config-dir", "conf", "experiment=bengio1994", "steps=0"]
    assert vgexp_command(monkeypatch, *train) == 0
    capsys.readouterr()
    assert vgexp_command(monkeypatch, "reproduce", *mine, "--scale", "tiny") == 2
    assert "experiment: got 'bengio1994', accepts baydin2018" in capsys.readouterr().err


def test_one_sitting(monkeypatch, capsys):
    """train, sweep, status, plot, report, export, predict."""
    sweep = ["train", "-m", *QUICK, "seed=range(0,2)", "model.activation=tanh,sigmoid", "init.name=standard,glorot"]
    assert vgexp_command(monkeypatch, *sweep, "name=here", "probe=full", "max_members=3") == 0
    assert "results in results/here    next: vgexp report results/here" in capsys.readouterr().out
    results = vgexp.read("results/here")
    assert len(results.runs) == 8
    assert results.runs["stack"].nunique() == 4  # two structures, four members each, at most three together
    assert vgexp_command(monkeypatch, "status", "results/here") == 0
    assert "8 done, 0 running, 0 failed, 0 missing" in capsys.readouterr().out
    assert vgexp_command(monkeypatch, "plot", "results/here") == 0
    figures = {path.name for path in Path("results/here/figures").iterdir()}
    names = (
        "profile",
        "agreement",
        "phases",
        "heatmap",
        "curves",
        "speeds",
        "histogram_h",
        "histogram_dz",
        "histogram_dw",
    )
    assert figures == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    assert vgexp_command(monkeypatch, "report", "results/here") == 0
    assert Path("results/here/report.html").stat().st_size > 10_000
    assert vgexp_command(monkeypatch, "export", "results/here", "--csv") == 0
    monkeypatch.setattr(reading, "TOGETHER", 1)
    assert vgexp_command(monkeypatch, "export", "results/here", "--csv", "--out", "apart") == 0
    for name, table in vgexp.read("results/here").tables().items():
        exported = Path("results/here/csv", f"{name}.csv").read_text()
        assert exported == Path("apart", f"{name}.csv").read_text() == table.to_csv(index=False)
    exported = pd.read_csv("results/here/csv/layers.csv")
    assert len(exported) == len(results.layers)
    capsys.readouterr()
    assert vgexp_command(monkeypatch, "predict", "model.activation=sigmoid", "data=digits") == 0
    assert "vanishing: from layer 5 down to 1 the gradient shrinks by" in capsys.readouterr().out


def test_what_comes_next_can_be_pasted(monkeypatch, capsys):
    """Folders with spaces and letters of any language are quoted."""
    assert vgexp_command(monkeypatch, "train", *QUICK, "name='größe und tiefe'") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.endswith("next: vgexp report 'results/größe und tiefe'")
    assert vgexp_command(monkeypatch, *shlex.split(line.split("next: ")[1])[1:]) == 0
    assert vgexp_command(monkeypatch, "plot", "results/größe und tiefe") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("next: vgexp report 'results/größe und tiefe'")


def test_the_config_can_be_looked_at(monkeypatch, capsys):
    assert vgexp_command(monkeypatch, "train", "--cfg", "job", "model.depth=7") == 0
    assert "depth: 7" in capsys.readouterr().out
    assert list(Path().iterdir()) == []


def test_plot_compares_two_folders(monkeypatch, capsys):
    for name, activation in (("a", "tanh"), ("b", "relu")):
        vgexp_command(monkeypatch, "train", *QUICK, f"name={name}", f"model.activation={activation}")
    assert vgexp_command(monkeypatch, "plot", "results/a", "results/b", "--out", "both") == 0
    assert "relu" in Path("both/profile.svg").read_text()
    capsys.readouterr()
    assert vgexp_command(monkeypatch, "plot", "results/a", "results/b", "--only", "profile") == 0
    assert capsys.readouterr().out == "1 figure in figures/a-vs-b    next: vgexp view results/a results/b\n"
    assert {path.name for path in Path("figures/a-vs-b").iterdir()} == {"profile.svg", "profile.png"}
    assert not Path("results/a/figures").exists()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (["--only", "profle"], "--only: got 'profle', accepts profile, agreement, phases, heatmap, curves"),
        (["--only", "agreement"], "--only: got 'agreement', accepts what these results can fill; not drawn: fewer"),
        (["--only", ""], "--only: got '', accepts profile"),
        (["--step", "3000"], "--step: got 3000, accepts a step that was recorded: 0, "),
        (["--color", "lr"], "--color: got 'lr', accepts what these runs differ in: nothing"),
        (["--facet", "model.depth"], "--facet: got 'model.depth', accepts what these runs differ in: nothing"),
        (["--only", "heatmap", "--facet", "lr"], "--only: got 'heatmap', accepts with --facet profile, curves"),
        (["--y", "dz_rm"], "--y: got 'dz_rm', accepts a column that was recorded: "),
        (
            ["--y", "dz_rms", "--x", "model.depht"],
            "--x: got 'model.depht', accepts what these runs differ in: layer, step",
        ),
        (["--y", "train_loss", "--x", "layer"], "--x: got 'layer', accepts what these runs differ in: step"),
        (["--y", "dz_rms", "--only", "profile"], "--only: got 'profile', accepts no --x and no --y beside it"),
    ],
)
def test_plot_of_what_is_not_there(choices, message, monkeypatch, capsys):
    vgexp.run(*QUICK, "name=here")
    before = sorted(Path().rglob("*"))
    capsys.readouterr()
    assert vgexp_command(monkeypatch, "plot", "results/here", *choices) == 2
    said = capsys.readouterr().err
    assert message in said and len(said.splitlines()) == 1
    assert sorted(Path().rglob("*")) == before


def test_status_of_a_sweep_that_is_not_over(monkeypatch, capsys):
    vgexp_command(monkeypatch, "train", *QUICK)
    from vgexp.config.fields import Run
    from vgexp.results.writing import Store

    Store(Path("results/train")).plan([Run(seed=5)], {}, "vgexp train seed=5")
    capsys.readouterr()
    vgexp_command(monkeypatch, "status", "results/train")
    said = capsys.readouterr().out
    assert "1 done, 0 running, 0 failed, 1 missing" in said
    assert "seed=5" in said and "to go on: vgexp train seed=5\n" in said
    Store(Path("results/train")).fail([Run(seed=5)], "ValueError: [broken]")
    vgexp_command(monkeypatch, "status", "results/train")
    said = capsys.readouterr().out
    assert "seed=5" in said and "ValueError: [broken]" in said and "1 failed" in said
    assert vgexp_command(monkeypatch, "report", "results/train") == 0


MINE = """
from dataclasses import replace
import torch
from vgexp.data import DATASETS, Loader, finite
from vgexp.networks import ACTIVATIONS, FAMILIES, INITIALIZERS, LOSSES, OPTIMIZERS, Activation, Initializer, Loss, Sgd
from vgexp.numerics import QUANTITIES, Quantity

ACTIVATIONS["sine"] = Activation(phi=torch.sin, slope=torch.cos)
INITIALIZERS["wide"] = Initializer(2.0, lambda fan_in, fan_out: 1 / fan_in)
QUANTITIES["h_max"] = Quantity("h", lambda h_MBN: h_MBN.abs().amax((-2, -1)))
LOSSES["twice"] = Loss(lambda z_MBC, y_MB: 2 * LOSSES["quadratic"](z_MBC, y_MB))

def half_skipped(p, layer, state):
    return (state[0] / 2 + FAMILIES["plain"].block(p, layer, state)[0],)

FAMILIES["half_skipped"] = replace(FAMILIES["plain"], block=half_skipped, recursion=None)

class Halved(Sgd):
    def __init__(self, runs, parts):
        super().__init__([replace(run, optim=replace(run.optim, lr=run.optim.lr / 2)) for run in runs], parts)

OPTIMIZERS["halved"] = Halved

def noise():
    draw = torch.Generator().manual_seed(0)
    pixels, classes = torch.randint(256, (60, 9), generator=draw).byte(), torch.randint(3, (60,), generator=draw)
    train, valid, test = zip(pixels.split(20), classes.split(20))
    return finite(train, valid, test, classes=3, white=255)

DATASETS["noise"] = Loader(noise)
"""
SMALL = [
    "name=train",
    "model.depth=3",
    "model.width=8",
    "steps=5",
    "probe.tier=full",
    "probe.every=1",
    "optim.lr=0.125",
]


@pytest.mark.slow
def test_everything_that_can_be_added_from_outside(tmp_path):
    """One new entry in each dict, two processes, and the commands that read the results."""
    (tmp_path / "mine.py").write_text(MINE)

    def command(*arguments):
        line = [sys.executable, "-m", "vgexp", "--import", "mine", *arguments]
        done = subprocess.run(line, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    mine = ["data.name=noise", "init.name=wide", "loss=twice", "dtype=float64"]
    workers = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "threads=1"]
    command("train", "-m", *SMALL, *mine, "model.activation=sine,tanh", "optim.name=halved", *workers)
    command("train", "-m", *SMALL, *mine, "model.activation=sine", "optim.lr=0.0625", "model.family=plain,half_skipped")
    results = vgexp.read("results/train")
    assert set(results.runs["status"]) == {"done"}
    names = ["model.activation", "optim.name", "model.family"]
    layers = results.layers.merge(results.runs[["run", *names]], on="run").set_index(names).sort_index()
    halved, sgd = layers.loc[("sine", "halved", "plain")], layers.loc[("sine", "sgd", "plain")]
    skipped = layers.loc[("sine", "sgd", "half_skipped")]
    assert halved["w_rms"].tolist() == sgd["w_rms"].tolist()  # half of twice the learning rate
    assert halved.query("step == 0 and layer == 2")["w_rms"].item() == pytest.approx(2 / 8**0.5, rel=0.3)
    highest = halved["h_max"].dropna()
    assert len(highest) == 3 * 6 and highest.between(0.5, 1).all()
    same = skipped["z_rms"].to_numpy() == sgd["z_rms"].to_numpy()
    assert same[skipped["step"].to_numpy() == 0].tolist() == [True, True, False, False]  # the first block is layer 2
    # What reads the results knows the new names too.
    assert "4 done" in command("status", "results/train")
    command("report", "results/train")
    assert "sine" in Path("results/train/report.html").read_text()
    assert "from layer 3 down to 1 the gradient" in command(
        "predict", *SMALL, "data.name=noise", "data.batch_size=20", "model.activation=sine"
    )


def test_an_interruption_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "vgexp", "train", *QUICK, "steps=1000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(Path("results/train").glob("state/*.pt")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "vgexp: interrupted, saved at most a minute ago; to go on, type the same command"
    assert set(vgexp.read("results/train").runs["status"]) == {"running"}


@pytest.mark.parametrize(("arguments", "how"), [([], ""), (["rerun=true"], " without rerun")])
def test_an_interrupted_rerun_goes_on_without_it(arguments, how, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise typer.Abort

    monkeypatch.setattr(app, "app", interrupted)
    assert vgexp_command(monkeypatch, "train", *arguments) == 130
    assert capsys.readouterr().err.endswith(f"to go on, type the same command{how}\n")


def test_workers_do_not_outlive_the_command_that_started_them():
    command = [sys.executable, "-m", "vgexp", "train", "-m", *QUICK, "steps=1000000", "model.activation=tanh,relu"]
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "threads=1"]
    process = subprocess.Popen([*command, *launcher], stderr=subprocess.PIPE, start_new_session=True)
    while len(list(Path("results/train").glob("state/*.pt"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    deadline = time.monotonic() + 30
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)  # the group is empty once nobody is left
            time.sleep(0.05)


FACTORIES = """
import sys
import torch
from torch import nn
torch.manual_seed(0)
layers = [m for _ in range(20) for m in (nn.Linear(16, 16), nn.Sigmoid())]
def sick():
    return nn.Sequential(*layers), (torch.randn(8, 16), torch.randn(8, 16)), nn.functional.mse_loss
def well(): return nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16))
def odd(): return 3
def raising(): raise RuntimeError("no\\nluck")
def needing(depth): return depth
instance = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16))
def broken(): return nn.Sequential(*layers), (torch.randn(8, 3), None), lambda o, t: o.sum()
def nothing(): return None
def quitting(): sys.exit()
def quitting_well(): sys.exit(0)
class Own(BaseException): pass
def raising_its_own(): raise Own
class Unspeakable(Exception):
    def __str__(self): raise ValueError
def unspeakable(): raise Unspeakable
def speaking(): print("{"); return well()
async def waiting(): return well()
def quitting_loss(): return well(), (torch.randn(8, 16), None), lambda o, t: sys.exit(3)
def talking(): raise ValueError("x" * 10**6)
def interrupted(): raise KeyboardInterrupt
"""


def test_diagnose(monkeypatch, capfd, tmp_path):
    (tmp_path / "factories.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(tmp_path)

    def diagnose(*arguments):
        code = vgexp_command(monkeypatch, "diagnose", *arguments)
        return code, *capfd.readouterr()

    code, text, _ = diagnose("factories:sick")
    assert code == 3 and text.startswith("vanishing (step 0)") and "\n  try    residual connections" in text
    code, text, _ = diagnose("factories:sick", "--json")
    assert code == 3 and json.loads(text)["verdict"] == "vanishing"
    code, text, _ = diagnose("factories:well", "--input-shape", "8,16")
    assert code == 0 and text.startswith("healthy")
    assert diagnose("factories:instance", "--input-shape", "8,16")[0] == 0
    code, text, aside = diagnose("factories:speaking", "--input-shape", "8,16", "--json")
    assert code == 0 and json.loads(text)["verdict"] == "healthy" and aside == "{\n"
    assert diagnose("factories:interrupted")[0] == 130
    (tmp_path / "ill.py").write_text("def f(:")
    (tmp_path / "foreign.py").write_bytes(b"x = '\xe9'")
    (tmp_path / "null.py").write_bytes(b"x = '\0'")
    (tmp_path / "ends.py").write_text("import sys; sys.exit(0)")
    for arguments, line in (
        (["factories"], "MODULE:FACTORY: got 'factories', accepts package.module:factory"),
        (["factories:none"], "accepts a factory that can be imported"),
        (["factories:raising"], "accepts a factory that can be imported and called (RuntimeError: no)"),
        (["factories:needing"], "(TypeError: needing() missing 1 required positional argument: 'depth')"),
        (["factories:instance"], "--input-shape: got None, accepts the shape of a batch"),
        (["factories:well", "--input-shape", "-8,16"], "accepts integers of at least 1 with commas"),
        (["ill:f"], "(SyntaxError: invalid syntax"),
        (["nowhere:none"], "No module named 'nowhere'"),
        (["factories:odd"], "got 'int', accepts a factory"),
        (["factories:well"], "--input-shape: got None, accepts the shape of a batch"),
        (["factories:well", "--input-shape", "8x16"], "accepts integers of at least 1 with commas"),
        (["factories:sick", "--input-shape", "8,16"], "got '8,16', accepts nothing: the factory returns a batch"),
        (["factories:broken"], "accepts a model that runs forward and backward"),
        (["factories:nothing"], "got 'NoneType', accepts a factory"),
        (["factories:quitting"], "called (SystemExit"),  # wandb puts an exit of its own in place of Python's
        (["factories:quitting_well"], "called (SystemExit: 0)"),
        (["factories:raising_its_own"], "called (Own)"),
        (["factories:unspeakable"], "called (Unspeakable)"),
        (["factories:talking"], "xxx...xxx"),
        (["factories:waiting"], "got 'coroutine', accepts a factory"),
        (["factories:quitting_loss"], "got 'SystemExit: 3', accepts a model that runs"),
        (["factories:well", "--input-shape", "9" * 5000], "accepts a batch that fits into memory"),
        (["factories:well", "--input-shape", "8," + "9" * 15], "accepts a batch that fits into memory"),
        (["foreign:f"], "(SyntaxError: "),
        (["null:f"], "(SyntaxError: "),
        (["ends:f"], "(SystemExit: 0)"),
        (["./factories.py:sick"], "accepts package.module:factory"),
        (["--import", "ends", "factories:sick"], "--import: got 'ends', accepts a module that can be imported"),
    ):
        code, text, complaint = diagnose(*arguments)
        assert code == 2 and not text and line in complaint and complaint.count("\n") == 1, complaint
