import math
import subprocess
import sys

import pytest
import torch

from vgexp.training import memory
from vgexp.training.memory import CLEAR_REFS, Peak

CODE = """
import sys
import torch
from vgexp.training.memory import return_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1])

if sys.argv[1] == "strict":
    return_freed_memory()
for _ in range(2):  # once freed, blocks of this size are kept by default
    blocks = [torch.ones(2**18) for _ in range(64)]
    spacers = [torch.ones(2**6) for _ in range(64)]
    del blocks
print(resident())
"""


@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="only Linux forgets a peak")
def test_a_peak_is_what_was_taken_since_and_no_more():
    """Not what somebody else took before, nor what is still held of it."""
    held, earlier = torch.ones(2**25), torch.ones(2**26)  # four bytes an entry
    del earlier
    peak = Peak(torch.device("cpu"))
    assert 0 <= peak.bytes() < 2**25
    passing = torch.ones(2**26)
    del passing
    assert 0.9 * 2**28 < peak.bytes() < 1.2 * 2**28
    later = Peak(torch.device("cpu"))
    assert 0 <= later.bytes() < 2**25
    assert len(held) == 2**25


def test_a_peak_that_cannot_be_told_is_nan(monkeypatch, tmp_path):
    for path in (tmp_path / "none", tmp_path):  # not there; there, and not to be written
        monkeypatch.setattr(memory, "CLEAR_REFS", path)
        assert math.isnan(Peak(torch.device("cpu")).bytes())


def test_freed_memory_goes_back_to_the_system():
    """64 MB of blocks that were freed: at most as much stays resident as without."""
    resident = {
        way: int(subprocess.run([sys.executable, "-c", CODE, way], check=True, capture_output=True, text=True).stdout)
        for way in ("default", "strict")
    }
    assert resident["strict"] <= resident["default"] + 1000  # pages
