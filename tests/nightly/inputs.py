"""Ten times as many bad inputs as the tests try, drawn anew, figures rendered: `python tests/nightly/inputs.py [SEED]`.

Prints the seed, with which the same inputs come again. Takes about ten minutes of a processor.
"""

import secrets
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "test_inputs.py"


def main() -> int:
    seed = sys.argv[1] if len(sys.argv) > 1 else str(secrets.randbelow(2**32))
    print(f"to repeat: python tests/nightly/inputs.py {seed}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", str(TESTS), "--hypothesis-profile=nightly"]
    return subprocess.run([*command, f"--hypothesis-seed={seed}"]).returncode


if __name__ == "__main__":
    sys.exit(main())
