import inspect
from pathlib import Path

import torch
from torch import nn

from vgexp.watching.tracing.places import Place, Places, shown


def line_of(function):
    return f"{Path(__file__).name}:{function.__code__.co_firstlineno + 1}: "


def look(places, seen):
    seen.append(places.here())


class Inner(nn.Module):
    def forward(self, x, places, seen):
        look(places, seen)
        return x


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x, places, seen):
        look(places, seen)
        return self.inner(x, places, seen)


def test_the_module_is_the_innermost_and_the_line_the_callers():
    model, seen = Outer(), []
    places = Places(model)
    model(torch.ones(1), places, seen)
    Inner()(torch.ones(1), places, seen)
    assert [place.module for place in seen] == ["Outer", "inner", ""]
    assert all(line_of(look) + "seen.append(places.here())" in place.line for place in seen)


class Derived(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, places, seen):
        ctx.look = places, seen
        return x.clone()

    @staticmethod
    def backward(ctx, dx):
        look(*ctx.look)
        return dx, None, None


def test_within_a_backward_pass_the_stack_ends_at_the_engine():
    class Training(nn.Module):
        def step(self, places, seen):
            Derived.apply(torch.ones(1, requires_grad=True), places, seen).sum().backward()

    model, seen = Training(), []
    model.step(Places(model), seen)
    assert [place.module for place in seen] == [""] and line_of(look) in seen[0].line


def test_frames_below_the_bottom_do_not_count():
    frame = inspect.currentframe()
    assert frame is not None
    assert Places(nn.Identity()).here(frame) == Place("", "")
    assert "here(frame.f_back)" in Places(nn.Identity()).here(frame.f_back).line


def test_paths_are_shown_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(str(tmp_path / "nets" / "net.py")) == str((tmp_path / "nets" / "net.py").relative_to(tmp_path))
    assert shown(str(tmp_path.parent / "net.py")) == str(tmp_path.parent / "net.py")


def test_the_function_of_ones_own_that_runs_is_named():
    seen = []

    class Look(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            look(Places(nn.Identity()), seen)
            return x.clone()

    Look.apply(torch.ones(1))
    look(Places(nn.Identity()), seen)
    assert [place.function for place in seen] == ["Look", ""]
