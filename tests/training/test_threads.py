import joblib
import pytest
import torch
from samples import small

from vgexp.training.threads import FLOPS_A_THREAD, suitable, threads_of


@pytest.fixture(autouse=True)
def _sixteen_cores(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 16)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_small_layers_have_one_thread_and_large_ones_more():
    assert suitable([small()], 16) == 1
    wide = small(model__width=1000, data__batch_size=10)  # 20 million operations
    assert suitable([wide], 16) == 2e7 // FLOPS_A_THREAD == 5
    assert suitable([wide] * 3, 16) == 15
    assert suitable([wide] * 30, 16) == 16


def test_jobs_share_the_cores():
    assert [suitable([small(model__width=3000, jobs=jobs)], 16) for jobs in (None, 1, 2, 5, 40)] == [16, 16, 8, 3, 1]


def test_what_torch_may_have_is_not_exceeded():
    assert suitable([small(model__width=3000)], 3) == 3


def test_a_number_that_was_asked_for_is_the_number():
    with threads_of([small(threads=2)]):
        assert torch.get_num_threads() == 2


def test_afterwards_all_is_as_it_was():
    torch.set_num_threads(2)
    with pytest.raises(ZeroDivisionError), threads_of([small()]):
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2
