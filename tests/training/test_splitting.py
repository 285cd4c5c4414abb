"""Parts of a stack that was split go on as the stack would have."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from samples import small

from vgexp.results.reading import read
from vgexp.results.writing import Store, stack_id
from vgexp.training.loop import Training, train
from vgexp.training.splitting import split_saves


def begun(runs, store, steps=4):
    training = Training(runs, store)
    for _ in range(steps):
        training.observe_and_update()
    training.save()


@pytest.mark.parametrize("changes", [{"optim__name": "adam", "probe__tier": "full"}, {"model__norm": "batch"}], ids=str)
def test_the_parts_of_a_stack_end_as_it_would_have(changes):
    runs = [replace(small(**changes), seed=seed) for seed in range(3)]
    train(runs, Store(Path("whole")))
    store, parts = Store(Path("parts")), [runs[:1], runs[1:]]
    begun(runs, store)
    split_saves(store, runs, parts)
    assert sorted(path.stem for path in Path("parts/state").glob("*.pt")) == sorted(map(stack_id, parts))
    assert [Training(part, store).step for part in parts] == [4, 4]
    for part in parts:
        train(part, store)
    for name, table in read("parts").comparable().items():
        whole = read("whole").comparable()[name]
        shared = [column for column in table if column not in ("folder", "stack")]
        pd.testing.assert_frame_equal(table[shared], whole[shared])


def test_without_a_state_the_parts_start_at_step_0():
    runs = [small(seed=seed) for seed in range(2)]
    split_saves(Store(Path("here")), runs, [runs[:1], runs[1:]])
    assert not Path("here").exists()


WRONG = [{"diverged_at": torch.zeros(1)}, {"rows": {}}, {"parts": 3}, {"step": "x"}, {"seconds": None}]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_state_that_cannot_be_taken_up_is_named_and_gives_nothing(wrong, capsys):
    runs, store = [small(seed=seed) for seed in range(2)], Store(Path("here"))
    begun(runs, store)
    state = store.load_state(stack_id(runs)) or {}
    store.save_state(stack_id(runs), {**state, **wrong})
    split_saves(store, runs, [runs[:1], runs[1:]])
    assert "its runs start again" in capsys.readouterr().err
    assert Training(runs[:1], store).step == 0
