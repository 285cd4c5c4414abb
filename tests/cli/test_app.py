import os
import subprocess
import sys
from importlib.metadata import version

import pytest

import vgexp
from vgexp.cli.app import COMMANDS


def test_version(vgexp_command):
    assert vgexp_command("--version") == (0, f"vgexp {vgexp.__version__}\n", "")
    assert vgexp.__version__ == version("vgexp")


def test_the_help_has_every_command_in_order(vgexp_command):
    _, out, _ = vgexp_command("--help")
    shown = [line.split()[1] for line in out.splitlines() if line.startswith("│ ") and line[2].isalpha()]
    assert shown == [*(command.__name__ for command in COMMANDS), "data"]


@pytest.mark.parametrize("name", [*(command.__name__ for command in COMMANDS), "data fetch"])
def test_every_command_has_an_example(name, vgexp_command):
    code, out, _ = vgexp_command(*name.split(), "--help")
    assert code == 0 and f"vgexp {name}" in out.partition("[OPTIONS]")[2]


def completed(words):
    """What bash is told to complete the last of some words with."""
    asked = {"_VGEXP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    command = [sys.executable, "-m", "vgexp"]
    return subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=True).stdout.split()


def test_shells_complete_commands_and_fields():
    assert completed("vgexp pr") == ["predict"]
    assert completed("vgexp train model.de") == ["model.depth="]


def test_the_script_for_a_shell_is_shown():
    command = [sys.executable, "-m", "vgexp", "--show-completion"]
    shell = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run([*command, "bash"], env=os.environ | shell, capture_output=True, text=True)
    assert done.returncode == 0 and "_VGEXP_COMPLETE" in done.stdout
