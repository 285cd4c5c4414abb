"""The source of an entry from outside, in processes of their own and after edits."""

import functools
import importlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vgexp.config.sources import own, source
from vgexp.networks.activations import ACTIVATIONS, Activation
from vgexp.networks.families import FAMILIES
from vgexp.networks.identity import REGISTRIES
from vgexp.networks.optimizers import Sgd
from vgexp.numerics.quantities import QUANTITIES, Quantity, percentile

CHECKOUT = Path(__file__).parents[2]
MINE = """
import torch
from helper_of_mine import bent
from vgexp.networks import Activation

def steep(factor):
    return lambda z: torch.sin(factor * z)

ENTRY = Activation(phi=lambda z: bent(z) + steep(0.5)(z), slope=torch.cos, max_slope=2.0)
"""
HELPER = "def bent(z):\n    return 0.1 * z\n"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the two modules, and says what the source of the entry is in a fresh import of them."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def entry_of(mine=MINE, helper=HELPER):
        for name, text in (("helper_of_mine", helper), ("mine_of_mine", mine)):
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return importlib.import_module("mine_of_mine").ENTRY

    yield entry_of
    for name in ("helper_of_mine", "mine_of_mine"):
        sys.modules.pop(name, None)


def test_what_is_vgexps_own_has_none():
    assert [*QUANTITIES.values()] and not any(map(source, QUANTITIES.values()))
    assert not any(source(entry) for registry in REGISTRIES.values() for entry in registry.values())


def test_an_edited_module_is_another_source_and_an_untouched_one_the_same(written):
    first = source(written())
    assert len(first) == 12 and source(written()) == first
    assert source(written(MINE.replace("sin(", "tanh("))) != first
    assert source(written(MINE.replace("max_slope=2.0", "max_slope=2.5"))) != first
    assert source(written(helper=HELPER.replace("0.1", "0.2"))) != first
    assert source(written()) == first


def test_functions_of_libraries_are_known_by_name():
    sine = Activation(torch.sin, torch.cos)
    assert source(sine) == source(Activation(torch.sin, torch.cos))
    assert len({source(sine), source(Activation(torch.cos, torch.cos)), source(replace(sine, version=2))}) == 3
    assert source(Activation(torch.sin, torch.sin)) != source(Activation(torch.cos, torch.cos))


def test_what_functions_enclose_counts():
    quantities = {p: Quantity("h", percentile(p)) for p in (5, 5.5, 6)}
    assert len({source(quantity) for quantity in quantities.values()}) == 3
    bent = {x: Activation(functools.partial(torch.add, other=x), torch.cos) for x in (1.0, 2.0)}
    assert source(bent[1.0]) != source(bent[2.0])
    kept = functools.cache(lambda: 1)
    assert source(Activation(kept, kept)) != source(Activation(functools.cache(lambda: 2), kept))
    tables = [torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]), np.array([1.0, 2.0]), torch.tensor([[1.0, 2.0]])]
    assert len({source(Activation(table, torch.cos)) for table in tables}) == 4  # pyright: ignore


def test_functions_of_the_package_without_a_name_are_told_apart():
    one, other = ACTIVATIONS["softsign"].phi, ACTIVATIONS["lecun_tanh"].phi
    assert one.__qualname__ == other.__qualname__
    assert source(Activation(one, torch.cos)) != source(Activation(other, torch.cos))


def defined_in_the_program(text, **names):
    scope = {"__name__": "__main__", "torch": torch, "Sgd": Sgd, **names}
    exec(text, scope)
    return scope["it"]


def test_a_function_of_the_program_is_its_code_and_the_globals_that_it_uses():
    text = "def inner(z):\n    return bent * z\n\nit = lambda z: [inner(y) for y in z]\n"
    first = source(Activation(defined_in_the_program(text, bent=2.0, other=1), torch.cos))
    assert source(Activation(defined_in_the_program("# said\n" + text, bent=2.0, other=2), torch.cos)) == first
    assert source(Activation(defined_in_the_program(text, bent=3.0), torch.cos)) != first
    assert (
        source(Activation(defined_in_the_program(text.replace("bent * z", "bent + z"), bent=2.0), torch.cos)) != first
    )


def test_a_class_of_the_program_is_its_methods():
    text = "class it(Sgd):\n    slots = ()\n    def advance(self):\n        self.steps = {}\n"
    first = source(defined_in_the_program(text.format(1)))
    assert source(defined_in_the_program(text.format(1))) == first
    assert source(defined_in_the_program(text.format(2))) != first
    assert source(defined_in_the_program(text.format(1).replace("= ()", "= ('v',)"))) != first


class Callable:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, z):
        return self.factor * z


def test_objects_are_their_class_and_what_they_hold():
    sources = [source(Activation(Callable(factor), torch.cos)) for factor in (1, 2, 1)]
    assert sources[0] == sources[2] != sources[1]
    family = replace(FAMILIES["plain"], reads=frozenset({"model.branch", "model.branch_layers"}))
    assert source(family) == source(replace(family)) != source(replace(family, stored=1))


def test_things_that_refer_to_themselves_come_to_an_end():
    loop = [1]
    loop.append(loop)
    assert source(Activation(Callable(loop), torch.cos))


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_a_set_does_not_matter(names):
    assert source({"of": frozenset(names)}) == source({"of": frozenset("abcd")})


def test_every_process_finds_the_same(tmp_path):
    (tmp_path / "mine_too.py").write_text("ENTRY = frozenset('abcd'), lambda z: z in {'e', 'f', 'g'}")
    ask = "import mine_too as m; from vgexp.config import source; here = lambda z: z in {1.5, None, 'h'}"
    ask += "; print(source(m.ENTRY), source(here))"
    found = {
        subprocess.run(
            [sys.executable, "-c", ask],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{tmp_path}:{CHECKOUT}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_what_is_remembered_as_own_has_no_source():
    entry = Activation(torch.sin, torch.cos)
    assert source(entry)
    own({"mine": entry})
    assert source(entry) == ""
