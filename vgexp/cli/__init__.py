"""The command line: `vgexp COMMAND --help` explains each command.

Heavy modules are loaded by the commands that need them, once the command line is known to be right.
"""

from vgexp.cli.app import main as main
