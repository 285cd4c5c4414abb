"""The processor that vgexp runs on, as it describes itself."""

import platform
from functools import cache
from pathlib import Path

DESCRIBED = Path("/proc/cpuinfo")
"""A block of lines `field : value` for each core; only Linux has it."""


@cache
def fields() -> dict[str, str]:
    """What the first core says of itself; empty where nothing does."""
    found: dict[str, str] = {}
    if DESCRIBED.exists():
        with DESCRIBED.open() as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if not value:  # the empty line after the first core
                    break
                found[name.strip()] = value.strip()
    return found


def model_name() -> str:
    """The model, such as `Intel(R) Xeon(R) Platinum 8480C`; the architecture where no model is named."""
    return fields().get("model name") or platform.processor() or platform.machine()


def is_intel() -> bool:
    """Whether Intel made it; False where nothing says who did."""
    return "GenuineIntel" in fields().get("vendor_id", platform.processor())
