from functools import cache

import pytest

from vgexp.experiments.compose import conf_dir
from vgexp.results.reading import read


@cache
def _read(paper):
    return read(conf_dir().parent / "results" / paper / "small")


@pytest.fixture
def committed():
    """The results of a paper that are part of this repository."""
    return _read
