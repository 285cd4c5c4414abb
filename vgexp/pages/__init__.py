"""One page that works offline: the figures, tables and claims of a folder of results."""

from vgexp.pages.page import Content, render, write_report

__all__ = ["Content", "render", "write_report"]
