"""An extension of griffe: the examples of docstrings are blocks of code, not quotations within quotations."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.M)
"""From a prompt to the next empty line."""


class Doctests(griffe.Extension):
    """Fences every example."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
