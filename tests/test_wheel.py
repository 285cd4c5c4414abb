"""What is shipped works: the wheel in a fresh environment, from an empty folder."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent


@pytest.mark.slow
def test_wheel_in_a_fresh_environment_sweeps_from_an_empty_folder(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist")]
    subprocess.run([*build, str(CHECKOUT)], check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    binaries = tmp_path / "venv" / "bin"
    subprocess.run([binaries / "pip", "install", "--no-deps", "--no-index", wheel], check=True, capture_output=True)
    # The dependencies of this environment, without the checkout: what lies beyond site-packages is not followed.
    packages = subprocess.run(
        [binaries / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    Path(packages, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    empty = tmp_path / "empty"
    empty.mkdir()
    command = [
        binaries / "vgexp",
        "train",
        "-m",
        "data=digits",
        "model.width=8",
        "model.depth=2,3",
        "seed=0,1",
        "steps=3",
    ]
    done = subprocess.run(command, cwd=empty, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in empty.iterdir()] == ["results"]
    [plan] = (empty / "results").glob("*/plan.json")
    assert len(json.loads(plan.read_text())["runs"]) == 4
    where = [
        binaries / "python",
        "-c",
        "import vgexp, hydra_plugins.stack_sweeper as s; print(vgexp.__file__, s.__file__)",
    ]
    found = subprocess.run(where, cwd=empty, check=True, capture_output=True, text=True).stdout
    assert str(CHECKOUT) not in found
