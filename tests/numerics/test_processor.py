import platform

import pytest

from vgexp.numerics import processor

XEON = (
    "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) @ 2.10GHz\nbugs\t\t:\n\nprocessor\t: 1\n"
)
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nCPU part\t: 0xd0c\n\nprocessor\t: 1\n"


@pytest.fixture
def described(tmp_path, monkeypatch):
    """Sets what the system says of its processor; nothing at first."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "DESCRIBED", path)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    processor.fields.cache_clear()
    yield path.write_text
    processor.fields.cache_clear()


def test_intel(described):
    described(XEON)
    assert processor.is_intel()
    assert processor.model_name() == "Intel(R) Xeon(R) @ 2.10GHz"


def test_amd(described):
    described(XEON.replace("GenuineIntel", "AuthenticAMD").replace("Intel(R) Xeon(R)", "AMD EPYC"))
    assert not processor.is_intel()
    assert processor.model_name() == "AMD EPYC @ 2.10GHz"


def test_a_processor_without_a_model_name_has_its_architecture(described):
    described(ARM)
    assert not processor.is_intel()
    assert processor.model_name() == "aarch64"


def test_a_system_that_says_nothing(described, monkeypatch):
    assert not processor.is_intel()
    monkeypatch.setattr(platform, "processor", lambda: "Intel64 Family 6 Model 85 Stepping 4, GenuineIntel")
    assert processor.is_intel()
    assert processor.model_name().startswith("Intel64")


def test_this_processor_has_a_name():
    assert processor.model_name()
