"""Progress against a clock that the test turns."""

import io
import sys

import pytest
import torch

from vgexp.training import progress as module
from vgexp.training.progress import DRAW_SECONDS, LINE_SECONDS, Progress


class Loss:
    """A loss that counts how often it is read: each reading waits for the device."""

    def __init__(self, *values):
        self.value_M, self.read = torch.tensor(values), 0

    def nanmean(self):
        self.read += 1
        return self.value_M.nanmean()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_where_there_is_no_terminal(clock, capsys):
    loss = Loss(1.0, 2.0, float("nan"))
    with Progress("tanh 5 x 8", 100) as progress:
        for step in range(1, 101):
            clock(LINE_SECONDS / 4)
            progress.advance(step, loss)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "tanh 5 x 8: step 4/100  loss 1.500  0.4 steps/s  240 s left"
    assert lines[1].startswith("tanh 5 x 8: step 8/100")
    assert lines[-1] == "tanh 5 x 8: 100 steps in 250.0 s"
    assert len(lines) == 25
    assert loss.read == 25


def test_speed_is_that_of_this_sitting(clock, capsys):
    with Progress("tanh 5 x 8", 100, done=90) as progress:
        clock(LINE_SECONDS)
        progress.advance(95, Loss(1.0))
    first, second, last = capsys.readouterr().err.splitlines()
    assert first == "tanh 5 x 8: resumed at step 90"
    assert second == "tanh 5 x 8: step 95/100  loss 1.000  0.5 steps/s  10 s left"
    assert last == "tanh 5 x 8: 5 steps in 10.0 s"


def test_an_error_has_the_last_word(clock, capsys):
    with pytest.raises(RuntimeError), Progress("tanh 5 x 8", 100):
        raise RuntimeError
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal_reads_the_loss_only_to_draw_it(clock, monkeypatch):
    terminal, loss = Terminal(), Loss(1.25)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    clock(1.0)
    with Progress("tanh 5 x 8", 100) as progress:
        for step in range(1, 101):
            clock(DRAW_SECONDS / 8 * 1.001)
            progress.advance(step, loss)
    drawn = terminal.getvalue()
    assert "tanh 5 x 8" in drawn and "100/100" in drawn and "loss 1.250" in drawn
    assert loss.read == 14  # the first step, every eighth after it, and the last


def test_workers_draw_no_bars(clock, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    class Worker:
        name = "LokyProcess-1"

    monkeypatch.setattr(module, "current_process", Worker)
    with Progress("tanh 5 x 8", 10) as progress:
        progress.advance(10, Loss(1.0))
    assert terminal.getvalue() == "tanh 5 x 8: 10 steps in 0.0 s\n"
