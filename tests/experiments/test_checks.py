import pytest
import torch
from samples import small

from vgexp.config.errors import ConfigError
from vgexp.data.originals import Unavailable
from vgexp.experiments.checks import check_run
from vgexp.networks.activations import ACTIVATIONS
from vgexp.numerics import QUANTITIES, Quantity, products
from vgexp.results.loggers import LOGGERS

CHOICES = [
    "loss",
    "data__name",
    "model__family",
    "model__activation",
    "init__name",
    "init__scope",
    "optim__name",
    "probe__tier",
    "probe__on",
    "memory",
    "logger",
    "device",
    "dtype",
]


@pytest.mark.parametrize("field", CHOICES)
def test_names_that_are_not_registered(field):
    check_run(small())
    with pytest.raises(ConfigError, match=rf"^{field.replace('__', '.')}: got 'nonsense', accepts \w+"):
        check_run(small(**{field: "nonsense"}))


def test_names_from_outside(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "mine", ACTIVATIONS["tanh"])
    check_run(small(model__activation="mine"))


def test_a_distribution_that_its_law_does_not_have():
    check_run(small(init__name="he", init__distribution="uniform"))
    with pytest.raises(ConfigError, match=r"init.distribution: got 'uniform', accepts haar \(orthogonal\)"):
        check_run(small(init__name="orthogonal", init__distribution="uniform"))


def test_a_kernel_that_there_is_not(monkeypatch):
    """Also where no layer is large enough to need one."""
    monkeypatch.setenv(products.CHOICE, "nonsense")
    products.chosen.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"^VGEXP_PRODUCTS: got 'nonsense', accepts auto, torch"):
            check_run(small())
    finally:
        products.chosen.cache_clear()


def test_a_device_that_is_not_here(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device: got 'cuda', accepts auto or cpu"):
        check_run(small(device="cuda"))


@pytest.mark.parametrize("name", LOGGERS)
def test_a_logger_that_is_not_installed(name, monkeypatch):
    monkeypatch.setitem(LOGGERS, name, LOGGERS[name]._replace(needs=lambda: ""))
    check_run(small(logger=name))
    monkeypatch.setitem(LOGGERS, name, LOGGERS[name]._replace(needs=lambda: "`pip install it`"))
    with pytest.raises(ConfigError, match=f"logger: got '{name}', accepts none; {name} needs `pip install it`"):
        check_run(small(logger=name))


def test_data_that_are_not_here():
    with pytest.raises(Unavailable, match=r"data.name: got 'mnist'"):
        check_run(small(data__name="mnist"))


def test_a_quantity_of_no_tensor(monkeypatch):
    monkeypatch.setitem(QUANTITIES, "mine", Quantity("dz", torch.sum))
    with pytest.raises(ConfigError, match=r"QUANTITIES\['mine'\].of: got 'dz', accepts h, slope, w"):
        check_run(small())
