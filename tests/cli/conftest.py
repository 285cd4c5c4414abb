"""The console script, in this process."""

import sys

import pytest

from vgexp.cli import app


@pytest.fixture
def vgexp_command(monkeypatch, capsys):
    """What a command line ends with: its exit code, and what it said on either stream."""

    def command(*arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["vgexp", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            app.main()
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return command
