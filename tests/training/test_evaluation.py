import pytest
import torch
from samples import small
from torch import nn

from vgexp.training import evaluation
from vgexp.training.evaluation import error, evaluate


@pytest.mark.parametrize("step", [0, 4, 10])
def test_an_evaluation_is_that_of_the_network_before_the_step(step, train_all):
    everything = train_all(small(eval__every=[0, 4, 10])).records.tables()["steps"]
    row = everything.set_index("step").loc[step]
    training = train_all(small(steps=step))
    x, y = training.stack.stream.test()
    z = training.stack.network(x)[0].detach()
    assert row["test_loss"] == pytest.approx(float(nn.functional.cross_entropy(z, y[0])))
    assert row["test_error"] == pytest.approx(float((z.argmax(-1) != y[0]).double().mean()))


def test_chunks_change_nothing(train_all, monkeypatch):
    stack = train_all(small(steps=0), small(steps=0, seed=1)).stack
    whole = evaluate(stack)
    monkeypatch.setattr(evaluation, "EVALUATED_AT_ONCE", 7)
    for name, value_M in evaluate(stack).items():
        torch.testing.assert_close(value_M, whole[name], rtol=1e-12, atol=0)


def test_with_cotangents_there_is_an_error_and_no_loss(train_all):
    assert set(evaluate(train_all(small(steps=0, loss="cotangent")).stack)) == {"valid_error", "test_error"}


def test_error_is_the_fraction_of_wrong_largest_outputs():
    z_MBC = torch.tensor([[[1.0, 2.0], [3.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
    assert error(z_MBC, torch.tensor([[1, 1], [1, 1]])).tolist() == [0.5, 0.0]
