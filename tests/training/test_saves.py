"""What a training leaves on disk."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from samples import small

from vgexp.results.reading import read
from vgexp.results.writing import Store
from vgexp.training import records, saves
from vgexp.training.loop import Training, train


def begun(*runs, steps=3):
    training = Training(runs, Store(Path("here")))
    for _ in range(steps):
        training.observe_and_update()
    training.save()
    return training


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_everything_that_changes_comes_back(optimizer):
    run = small(optim__name=optimizer, optim__warmup=9, optim__clip=0.5)
    before = begun(run, replace(run, seed=1))
    after = Training(before.stack.runs, Store(Path("here")))
    assert (after.step, int(after.stack.taken)) == (3, 3)
    for key, part in before.stack.network.parts.items():
        for name, tensor in part.tensors.items():
            assert torch.equal(tensor, after.stack.network.parts[key].tensors[name])
    for key, slots in before.stack.optimizer.state.items():
        for name, tensor in slots.items():
            assert torch.equal(tensor, after.stack.optimizer.state[key][name])
    for each in (before, after):
        each.observe_and_update()
    pd.testing.assert_frame_equal(after.records.tables()["layers"], before.records.tables()["layers"])


def test_a_state_of_another_version_is_left_aside(monkeypatch, capsys):
    run = small()
    begun(run)
    monkeypatch.setattr(saves, "STATE_VERSION", saves.STATE_VERSION + 1)
    assert Training([run], Store(Path("here"))).step == 0
    assert "of version" in capsys.readouterr().err


DAMAGES = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "garbage": lambda content: b"no such format" * 100,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["state/*.pt", "layers/*.parquet", "steps/*.parquet"])
def test_what_is_damaged_of_an_interrupted_training_starts_again(file, damage, capsys):
    """And says so; the numbers are those of a training that was not interrupted."""
    run = small()
    begun(run)
    [path] = Path("here").glob(file)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    training = Training([run], Store(Path("here")))
    said = capsys.readouterr().err
    assert "its runs start again" in said and len(said.splitlines()) == 1
    assert training.records.tables() == {}
    whole = Training([run], Store(Path("elsewhere")))
    assert float(training.observe_and_update()) == float(whole.observe_and_update())


def test_a_state_without_its_tables_starts_again(capsys):
    run = small()
    begun(run)
    next(Path("here/layers").iterdir()).unlink()
    assert Training([run], Store(Path("here"))).step == 0
    assert "its tables are not whole" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        {"parts": {}},
        {"optimizer": {}},
        {"diverged_at": torch.zeros(3)},
        {"rows": {}},
        {"parts": {(1, ""): {"weight": torch.zeros(2)}}},
    ],
    ids=str,
)
def test_a_state_with_other_contents_changes_nothing(wrong, capsys):
    run = small(optim__name="momentum")
    training = begun(run)
    state = Store(Path("here")).load_state(training.saves.name)
    Store(Path("here")).save_state(training.saves.name, {**(state or {}), **wrong})
    after, fresh = Training([run], Store(Path("here"))), Training([run], Store(Path("elsewhere")))
    assert after.step == 0 and "its runs start again" in capsys.readouterr().err
    for key, part in fresh.stack.network.parts.items():
        assert torch.equal(part.tensors["weight"], after.stack.network.parts[key].tensors["weight"])


def test_rows_of_steps_that_the_state_does_not_know_are_dropped():
    """Killed between tables and state: the tables are ahead."""
    run = small()
    training = begun(run)
    state = Store(Path("here")).load_state(training.saves.name)
    training.observe_and_update()
    training.save()
    Store(Path("here")).save_state(training.saves.name, state)
    after = Training([run], Store(Path("here")))
    assert after.step == 3
    after.save()
    assert read("here").layers["step"].max() == read("here").steps["step"].max() == 2


def test_final_columns_are_those_of_the_last_step(train_all):
    training = train_all(small(eval__every=5), small(eval__every=5, seed=1))
    tables = training.records.tables()
    rows = training.saves.runs_rows(training.step, tables, "done").set_index("run")
    last = tables["steps"].query("step == 10").set_index("run")
    for column in ("train_loss", "valid_error", "test_loss"):
        assert rows[f"final_{column}"].to_dict() == last[column].to_dict()
    assert (rows["status"] == "done").all() and rows["diverged_at"].isna().all()


def test_a_run_that_diverged_says_when(train_all):
    training = train_all(small(loss="quadratic", optim__lr=1e200), small(loss="quadratic"))
    rows = training.saves.runs_rows(training.step, training.records.tables(), "done")
    assert rows["diverged_at"].isna().tolist() == [False, True]


def test_a_run_that_diverged_has_no_final_metrics(train_all):
    """Not the loss of its last finite step, nor an error of networks that are not a number."""
    healthy, sick = (small(eval__every=[0, 10], loss="quadratic", optim__lr=lr) for lr in (0.03, 1e200))
    training = train_all(sick, healthy)
    rows = training.saves.runs_rows(training.step, training.records.tables(), "done")
    final = rows[[name for name in rows if name.startswith("final_")]]
    assert final.shape[1] == 6
    assert final.iloc[0].isna().all() and final.iloc[1].notna().all()


def test_a_final_metric_is_the_last_one_even_if_it_is_not_a_number(train_all):
    training = train_all(small(eval__every=5))
    tables = training.records.tables()
    tables["steps"].loc[tables["steps"]["step"] == 10, ["valid_loss", "train_loss"]] = float("nan")
    rows = training.saves.runs_rows(training.step, tables, "done")
    assert rows[["final_valid_loss", "final_train_loss"]].isna().all(axis=None)
    assert rows["final_test_loss"].notna().all()


def test_a_save_is_due_after_a_while(monkeypatch):
    training = begun(small())
    assert not training.saves.due(training.records)
    monkeypatch.setattr(saves, "checkpoint_seconds", lambda: -1.0)
    assert training.saves.due(training.records)


def test_a_save_is_due_when_much_has_been_recorded(monkeypatch):
    monkeypatch.setattr(records, "ROWS", 1)
    monkeypatch.setattr(records, "GATHERED", 1)
    training = begun(small())
    assert not training.saves.due(training.records)
    training.observe_and_update()
    assert training.saves.due(training.records)


def test_a_training_holds_no_row_that_it_saved():
    training = begun(small(probe__tier="full", probe__histograms=1))
    assert training.records.tables() == {}


def test_saving_often_changes_no_table(monkeypatch):
    """Not its rows, not their order, not what became of the runs."""
    runs = [small(seed=seed, probe__tier="full", probe__histograms=3, eval__every=4) for seed in range(3)]
    train(runs, Store(Path("once")))
    monkeypatch.setattr(saves, "checkpoint_seconds", lambda: -1.0)
    train(runs, Store(Path("often")))
    once, often = (read(folder).comparable() for folder in ("once", "often"))
    for name, table in once.items():
        pd.testing.assert_frame_equal(
            often[name].drop(columns="folder", errors="ignore"), table.drop(columns="folder", errors="ignore")
        )
    [path] = Path("often/layers").iterdir()
    stored = pq.read_table(path).to_pandas()
    assert stored[["run", "step", "layer"]].equals(once["layers"][["run", "step", "layer"]])
