import torch

from vgexp.training import clock
from vgexp.training.clock import Clock


def test_marks_book_what_has_passed_since_the_last_one(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    watch = Clock(torch.device("cpu"))
    for seconds, label in (
        (1.0, ("forward_ms", (1, ""))),
        (2.0, None),  # the observer's own work
        (4.0, ("forward_ms", (2, "inner"))),
        (8.0, ("forward_ms", (1, ""))),
    ):
        now[0] += seconds
        watch.mark(label)
    assert watch.milliseconds() == {("forward_ms", (1, "")): 9000.0, ("forward_ms", (2, "inner")): 4000.0}


def test_without_a_mark_there_is_no_time():
    assert Clock(torch.device("cpu")).milliseconds() == {}
