import subprocess
import sys

import torch

from vgexp.training.memory import peak_bytes

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


def test_the_peak_grows_with_what_is_held():
    before = peak_bytes(torch.device("cpu"))
    held = torch.ones(before // 4 + 2**26)  # four bytes an entry
    assert peak_bytes(torch.device("cpu")) > before
    del held


def test_freed_memory_goes_back_to_the_system():
    """64 MB of blocks that were freed: at most as much stays resident as without."""
    resident = {
        way: int(subprocess.run([sys.executable, "-c", CODE, way], check=True, capture_output=True, text=True).stdout)
        for way in ("default", "strict")
    }
    assert resident["strict"] <= resident["default"] + 1000  # pages
