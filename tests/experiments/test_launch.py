import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.plugins import Plugins

import vgexp
from vgexp.config.errors import ConfigError
from vgexp.experiments import launch
from vgexp.experiments.compose import composer, typed
from vgexp.experiments.jobs import received
from vgexp.experiments.launch import job, run, start
from vgexp.networks.identity import identity
from vgexp.results.columns import TABLES
from vgexp.results.reading import read
from vgexp.results.status import folder_status
from vgexp.results.writing import Store
from vgexp.training import loop
from vgexp.training.interruption import Interrupted

QUICK = ["data.name=digits", "model.depth=2", "model.width=8", "eval.every=never", "name=train", "steps=2"]


def handed_over(*overrides):
    """The overrides of the jobs of a sweep, of which none was run."""
    launched = []

    def launch(job_overrides, initial_job_idx):
        launched.extend(job_overrides)
        raise Interrupted

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Plugins, "instantiate_launcher", lambda self, **_: SimpleNamespace(launch=launch))
        start(overrides)
    return launched


def test_run_returns_what_was_asked_for_and_nothing_else():
    run(*QUICK, "seed=0,1")
    results = run(*QUICK, "seed=1,2")
    assert sorted(results.runs["seed"]) == [1, 2]
    assert set(results.runs["status"]) == {"done"}
    assert sorted(read("results/train").runs["seed"]) == [0, 1, 2]
    assert "vgexp.run(" in list(read("results/train").commands)[-1]


def test_a_job_trains_in_the_folder_that_it_comes_from_wherever_it_starts(monkeypatch, tmp_path):
    launched = handed_over(*QUICK, "seed=3,4")
    (tmp_path / "elsewhere").mkdir()
    with monkeypatch.context() as patch, composer() as compose:
        patch.chdir(tmp_path / "elsewhere")
        for overrides in launched:
            job(compose(overrides))
        assert not list(Path().iterdir())
    runs = vgexp.read("results/train").runs.sort_values("seed")
    assert runs["seed"].tolist() == [3, 4] and runs["stack"].nunique() == 1
    assert not list(Path("results/train/state/jobs").iterdir())


def test_a_job_finds_its_members_again_after_another_of_the_same_runs_was_there():
    """As where the same command was typed twice, and the job at work is requeued."""
    launched = handed_over(*QUICK, "seed=3,4")
    with composer() as compose:
        config = compose(launched[0])
        runs = received(config)
        with Store(Path("results/train")).hold(runs):
            assert job(config) == [identity(run) for run in runs]
        assert job(config) == []
    assert vgexp.read("results/train").runs["status"].tolist() == ["done", "done"]


def test_a_launch_that_leaves_runs_undone_is_no_success(monkeypatch):
    def launch(job_overrides, initial_job_idx):
        return [SimpleNamespace(return_value=[]) for _ in job_overrides]

    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda self, **_: SimpleNamespace(launch=launch))
    with pytest.raises(RuntimeError, match=r"results/train: 2 of 2 runs not done though all jobs have ended"):
        start([*QUICK, "seed=0,1"])


def test_start_leaves_the_process_as_it_was_and_notes_the_command(monkeypatch):
    typed = ["/usr/bin/vgexp", "--import", "a module", "train", "-m", *QUICK, "seed=0,1"]
    monkeypatch.setattr(sys, "argv", list(typed))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    handler = signal.getsignal(signal.SIGTERM)
    assert start([*QUICK, "seed=0,1"]) == Path("results/train")
    assert sys.argv == typed
    assert signal.getsignal(signal.SIGTERM) == handler
    commands = json.loads(Path("results/train/plan.json").read_text())["commands"]
    assert list(commands) == ["vgexp --import 'a module' train -m " + " ".join(QUICK) + " seed=0,1"]
    assert len(read("results/train").runs) == 2


@pytest.mark.parametrize(
    ("launcher", "jobs"),
    [
        ([], "1"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=3"], "3"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=9"], "4"),  # there are four
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=9", "jobs=2"], "2"),
    ],
)
def test_a_job_is_told_how_many_share_the_computer(launcher, jobs, monkeypatch):
    launched = []

    def launch(job_overrides, initial_job_idx):
        launched.extend(job_overrides)
        return [SimpleNamespace(return_value=[]) for _ in job_overrides]

    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda self, **_: SimpleNamespace(launch=launch))
    monkeypatch.setattr("vgexp.experiments.launch.require_done", lambda todo: None)
    start([*QUICK[:1], *QUICK[2:], "model.depth=1,2,3,4", *launcher])
    assert [overrides[-1] for overrides in launched] == [f"jobs={jobs}"] * 4


def test_a_look_at_the_config_runs_nothing(capsys):
    assert start(["model.depth=7"], look="job") is None
    assert "depth: 7" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--cfg: got 'jobs', accepts job, hydra, all"):
        start([], look="jobs")
    assert not Path("results").exists()


MINE = """# @package _global_
model: {depth: 3, width: 8}
steps: 1
"""
WRONG = [
    ("model: {depth: 3}", "experiment/mine.yaml: got 'experiment', accepts .* `# @package _global_`"),
    ("# @package _global_\nmodel: {dept: 3}", "experiment/mine.yaml: got 'model.dept', accepts fields of the config"),
    ("# @package _global_\nmodel: {depth: [3", r"experiment/mine.yaml, line \d: .* accepts YAML"),
    ("# @package _global_\ndefaults: [/nope: x]", "nope: got 'x', accepts one of the groups"),
    ("# @package _global_\nscale: a\nscales: {a: [seed=0]}", "scales.a: got .*, accepts grids by name"),
    ("# @package _global_\nscale: a\nscales: {a: {}}", "scales.a: got .*, accepts grids by name, at least one"),
    ("# @package _global_\nscale: a\nscales: {a: {b: [3]}}", "scales: got 3, accepts lists of overrides"),
    ("# @package _global_\nscale: a\nscales: {a: {b: [seed=0, seed=x]}}", "seed: got 'x', accepts an integer"),
]


def test_an_experiment_file_of_ones_own(tmp_path):
    (tmp_path / "conf/experiment").mkdir(parents=True)
    (tmp_path / "conf/experiment/mine.yaml").write_text(MINE)
    start(["experiment=mine", "name=train", "data=digits", "seed=0,1"], config_dir=Path("conf"))
    assert read("results/train").runs["model.depth"].tolist() == [3, 3]
    with pytest.raises(ConfigError, match="--config-dir: got 'nowhere', accepts a folder"):
        start(["experiment=mine"], config_dir=Path("nowhere"))


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_with_ones_own_file(text, message, tmp_path):
    (tmp_path / "conf/experiment").mkdir(parents=True)
    (tmp_path / "conf/experiment/mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        start(["experiment=mine"], config_dir=tmp_path / "conf")
    assert not Path("results").exists()


def test_an_error_is_recorded_and_raised(monkeypatch):
    def broken(runs, store, stopped):
        raise RuntimeError("no more\nof this")

    monkeypatch.setattr("vgexp.training.train", broken)
    with pytest.raises(RuntimeError, match="no more"):
        run(*QUICK)
    [row] = read("results/train").runs.to_dict("records")
    assert (row["status"], row["message"]) == ("failed", "RuntimeError: no more")


def test_a_job_that_fails_is_told_in_the_words_of_its_error_alone(monkeypatch, capfd):
    def broken(runs, store, stopped):
        raise RuntimeError("no more")

    monkeypatch.setattr("vgexp.training.train", broken)
    with pytest.raises(RuntimeError, match="no more"):
        start([*QUICK, "seed=0,1"])
    assert "overrides" not in capfd.readouterr().err


def test_bad_input_starts_nothing(monkeypatch):
    monkeypatch.setattr("vgexp.training.train", lambda *_: pytest.fail("trained"))
    handler = signal.getsignal(signal.SIGTERM)
    for overrides in (["seed=0,x"], ["model.activation=tanh,tahn"], ["model.depht=3"]):
        with pytest.raises(ConfigError):
            start([*QUICK, *overrides])
    assert signal.getsignal(signal.SIGTERM) == handler
    assert not Path("results").exists()


def interrupted(*overrides, at=3):
    """Types a command and interrupts it at a step; its state is left."""
    with pytest.raises(Interrupted):
        interrupt(signal.SIGINT, *overrides, at=at)


def interrupt(number, *overrides, at=3):
    observe = loop.Training.observe_and_update

    def step(self):
        if self.step == at:
            os.kill(os.getpid(), number)
        return observe(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Training, "observe_and_update", step)
        run(*overrides)


def trained_stacks(capsys):
    """What was trained since, and from which step, as the console says it."""
    return [line for line in capsys.readouterr().err.splitlines() if "resumed" in line or "steps in" in line]


STATES = Path("results/train/state")
LONGER = [*QUICK[:-1], "steps=10", "probe.every=1"]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_preempted_job_saves_is_asked_for_again_and_has_not_failed(number, capsys):
    """As submitit does it: its handler raises an error of its own once the job is in the queue again."""

    def requeue(number, frame):
        raise RuntimeError("not requeued: timed out")

    before = signal.signal(number, requeue)
    try:
        with pytest.raises(RuntimeError, match="not requeued"):
            interrupt(number, *LONGER, "seed=0,1")
    finally:
        signal.signal(number, before)
    assert set(read("results/train").runs["status"]) == {"running"} and list(STATES.glob("*.pt"))
    run(*LONGER, "seed=0,1")
    assert any("resumed at step 4" in line for line in trained_stacks(capsys))


def test_a_request_to_stop_during_the_last_step_of_a_stack_is_heard():
    interrupted(*LONGER, "model.activation=tanh,relu", at=10)
    assert read("results/train").runs["status"].tolist() == ["done"]


def test_a_request_to_stop_is_heard_where_there_is_nothing_to_train(monkeypatch):
    """Of whoever walks over stacks that others have done, and spends the time waiting for locks."""
    runs = read_runs(run(*QUICK, "seed=0,1"))
    hold = Store.hold

    @contextmanager
    def interrupted(store, asked):
        os.kill(os.getpid(), signal.SIGTERM)
        with hold(store, asked) as held:
            yield held

    monkeypatch.setattr(Store, "hold", interrupted)
    with pytest.raises(Interrupted):
        launch.train_stack(runs, Store(Path("results/train")))


def test_a_request_to_stop_while_a_lock_is_given_back_is_heard(monkeypatch):
    """Of whoever has trained a stack, and waits for others to let go of the folder."""
    hold, asked = Store.hold, []

    @contextmanager
    def waiting(store, runs):
        with hold(store, runs) as held:
            yield held
        asked.append(runs)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Store, "hold", waiting)
    with pytest.raises(Interrupted):
        run(*QUICK, "model.activation=tanh,relu")
    assert len(asked) == 1 and len(read("results/train").runs) == 1


def test_a_stack_that_fails_stops_no_other(monkeypatch):
    """In this process as with a launcher."""
    observe = loop.Training.observe_and_update

    def step(training):
        if training.run.model.activation == "tanh":
            raise ValueError("no tanh")
        return observe(training)

    monkeypatch.setattr(loop.Training, "observe_and_update", step)
    with pytest.raises(ValueError, match="no tanh"):
        run(*QUICK, "model.activation=tanh,relu")
    runs = read("results/train").runs
    assert dict(zip(runs["model.activation"], runs["status"], strict=True)) == {"tanh": "failed", "relu": "done"}


def read_runs(results):
    """Its runs, as they were asked for."""
    with composer() as compose:
        return [typed(compose([*QUICK, f"seed={seed}"])) for seed in sorted(results.runs["seed"])]


def test_a_rerun_that_fails_says_so(monkeypatch):
    run(*QUICK)

    def broken(*_):
        raise ValueError("broken")

    monkeypatch.setattr(loop.Training, "observe_and_update", broken)
    with pytest.raises(ValueError, match="broken"):
        run(*QUICK, "rerun=true")
    [found] = folder_status(Path("results/train")).runs
    assert (found.status, found.message) == ("failed", "ValueError: broken")


@pytest.mark.parametrize("name", ["2024_01_05", "1e5", "true", "1_000", "-5", ".5", "nan", "größe"])
def test_the_folder_has_the_name_that_was_typed(name):
    run(*QUICK[:-2], "steps=0", f"name={name}")
    assert [path.name for path in Path("results").iterdir()] == [name]
    start([*QUICK[:-2], "steps=0", f"name={name}"])
    assert [path.name for path in Path("results").iterdir()] == [name]


def test_an_experiment_in_any_language_can_be_launched(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ndata: {name: digits}\nsteps: 0\nmodel: {depth: 2, width: 8}\n"
    (tmp_path / "experiment" / "größe.yaml").write_text(text)
    folder = start(["experiment=größe"], config_dir=tmp_path)
    assert [found.status for found in folder_status(folder).runs] == ["done"]


def test_what_is_done_is_said(capsys):
    run(*QUICK, "seed=0,1")
    assert "already done" not in capsys.readouterr().err
    run(*QUICK, "seed=range(0,3)")
    assert "3 runs, 2 already done" in capsys.readouterr().err
    run(*QUICK, "seed=range(0,3)")
    assert capsys.readouterr().err == "3 runs, 3 already done\n"


def test_an_interrupted_stack_goes_on_also_in_a_sweep_that_grew(capsys):
    interrupted(*LONGER, "seed=0,1")
    capsys.readouterr()
    results = run(*LONGER, "seed=range(0,3)")
    assert [line.split(": ")[1][:7] for line in trained_stacks(capsys)] == ["resumed", "6 steps", "10 step"]
    assert results.runs["status"].tolist() == ["done"] * 3 and not list(STATES.glob("*.pt"))
    assert results.runs["stack"].nunique() == 2


def test_rerun_starts_at_step_0_and_goes_on_without_it(capsys):
    run(*LONGER, "seed=0,1")
    first = read("results/train").runs["updated"].min()
    interrupted(*LONGER, "seed=0,1", "rerun=true")
    capsys.readouterr()
    interrupted(*LONGER, "seed=0,1", "rerun=true", at=5)
    assert not any("resumed" in line for line in trained_stacks(capsys))
    assert [found.status for found in folder_status(Path("results/train")).runs] == ["missing", "missing"]
    [command] = folder_status(Path("results/train")).commands
    assert "rerun" not in command
    results = run(*LONGER, "seed=0,1")
    assert any("resumed at step 6" in line for line in trained_stacks(capsys))
    assert results.runs["status"].tolist() == ["done", "done"] and (results.runs["updated"] > first).all()


def test_a_rerun_that_was_interrupted_before_a_stack_computes_that_too(capsys):
    run(*LONGER, "model.activation=tanh,relu")
    interrupted(*LONGER, "model.activation=tanh,relu", "rerun=true")
    assert [found.status for found in folder_status(Path("results/train")).runs] == ["missing", "missing"]
    capsys.readouterr()
    run(*LONGER, "model.activation=tanh,relu")
    assert len([line for line in trained_stacks(capsys) if "steps in" in line]) == 2


def test_a_state_that_nothing_takes_up_is_removed():
    """Of a stack that is now cut otherwise, but not of runs that this sweep does not have."""
    interrupted(*LONGER, "seed=0,1")
    interrupted(*LONGER, "seed=7")
    assert len(list(STATES.glob("*.pt"))) == 2
    run(*LONGER, "seed=0,1", "max_members=1")
    assert len(list(STATES.glob("*.pt"))) == 1
    run(*LONGER, "seed=7")
    assert not list(STATES.glob("*.pt"))


@pytest.mark.parametrize("table", [*TABLES, "plan.json"])
def test_the_same_command_computes_again_what_is_damaged(table, capsys):
    full = [*QUICK, "probe.tier=full", "seed=0,1", "model.activation=tanh,relu"]
    before = run(*full)
    stack = before.runs["stack"].iloc[0]
    folder = Path("results/train")
    path = folder / table if table == "plan.json" else folder / table / f"part-{stack}.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    capsys.readouterr()
    after = run(*full)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"vgexp: damaged: {path}: ")
    assert said[1] == f"4 runs, {4 if table == 'plan.json' else 2} already done"
    assert after.damaged == [] and after.runs["status"].eq("done").all()
    assert len(after.planned) == 4
    for name in TABLES:
        assert len(after.tables()[name]) == len(before.tables()[name])
    assert path.with_name(path.name + ".damaged").exists()
    run(*full)
    assert capsys.readouterr().err == "4 runs, 4 already done\n"


def test_what_is_damaged_of_another_sweep_is_computed_again_by_that_one():
    first, other = [*QUICK, "seed=0,1"], [*QUICK, "seed=2"]
    stack = run(*first).runs["stack"].iloc[0]
    folder = Path("results/train")
    (folder / "layers" / f"part-{stack}.parquet").write_bytes(b"")
    assert [line.split(": ")[1] for line in run(*other).damaged] == ["lost"]
    assert [found.status for found in folder_status(folder).runs] == ["missing", "missing", "done"]
    [command] = folder_status(folder).commands
    assert "seed=0,1" in command
    results = run(*first)
    assert results.layers["run"].nunique() == 2 and results.damaged == []


OTHER = """
import sys
import vgexp
vgexp.run(*sys.argv[1:])
"""


def test_what_another_process_computes_is_left_to_it_and_taken_over_when_it_is_killed(monkeypatch, capsys):
    sweep = [*LONGER, "steps=6000", "probe.every=log", "model.activation=tanh,relu"]
    environment = os.environ | {"VGEXP_CHECKPOINT_SECONDS": "0.1", "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.Popen([sys.executable, "-c", OTHER, *sweep], env=environment, stderr=subprocess.DEVNULL)
    while not list(Path("results/train/steps").glob("*.parquet")):
        assert other.poll() is None
        time.sleep(0.02)
    [state] = STATES.glob("*.pt")
    before = state.stat().st_mtime_ns
    while state.stat().st_mtime_ns == before:  # tables are written before the state that knows them
        assert other.poll() is None
    other.send_signal(signal.SIGSTOP)
    waited = []

    def wait(seconds):
        done = read("results/train").runs.set_index("model.activation")["status"].to_dict()
        waited.append(done)
        other.kill()
        other.wait()

    monkeypatch.setattr(launch.time, "sleep", wait)
    results = run(*sweep)
    assert waited == [{"tanh": "running", "relu": "done"}]
    said = capsys.readouterr().err
    assert f"tanh 2 x 8, 1 run: left to process {other.pid} on" in said
    assert "waiting for 1 run that others compute" in said
    assert "tanh 2 x 8, 1 run: resumed at step" in said and "relu 2 x 8, 1 run: resumed" not in said
    assert results.runs["status"].eq("done").all()
    assert [path.name for path in STATES.iterdir()] == ["folder.lock"]


@pytest.mark.slow
def test_two_terminals_compute_every_stack_once():
    sweep = [*LONGER, "steps=1500", "probe.every=log", "model.depth=2,3,4,5", "seed=0,1"]
    command = [sys.executable, "-m", "vgexp", "train", "-m", *sweep]
    terminals = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [terminal.communicate() for terminal in terminals]
    assert [terminal.returncode for terminal in terminals] == [0, 0]
    assert sum(err.count("steps in") for _, err in said) == 4
    assert all("results in results/train" in out for out, _ in said)
    assert read("results/train").runs["status"].eq("done").all()
