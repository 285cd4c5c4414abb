"""One page that works offline: the figures, tables and claims of a folder of results."""

from vgexp.pages.report import write

__all__ = ["write"]
