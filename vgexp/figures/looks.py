"""Looks: how the groups of a figure are told apart. One policy for every figure, for any number of groups.

Up to 8 groups have a color and a mark each; where they have several depths, the mark is that of the depth. More are
told apart by the fields in which they differ: color by one, mark by another, a row of panels by the rest. What differs
in one number has colors from dark to light. Where none of this is enough every group has a pair of a color and a mark
of its own, in panels of `CHUNK` groups or more.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vgexp.config import FIELDS, ConfigError
from vgexp.figures.style import COLORS, MARKERS, layer_color
from vgexp.results import short

DASHES: tuple[Any, ...] = (
    *("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2))),
    *((0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)), (0, (8, 1.5, 2, 1.5))),
)
FILLS = ("full", "none", "left", "bottom")
FEW = len(COLORS)
"""Groups, values of a field, and rows of panels that are told apart at a glance."""
CHUNK = 16
"""Groups in a panel where they differ in nothing that could be shared out."""
FACETS = 24
"""Rows of panels that a person may ask for."""
SEQUENCE = 3
"""Values of a number that make a sequence."""


class Look(NamedTuple):
    """How one series is drawn."""

    color: Any
    marker: str = "o"
    dash: Any = "-"
    fill: Any = "full"


class Series(NamedTuple):
    """One series: the number of its row of panels, and its look."""

    facet: int
    look: Look


class Arrangement(NamedTuple):
    """Where the series of a figure stand, how they look, and what its legend says."""

    by: tuple[str, ...]
    facets: list[str]
    """What the rows of panels are called; one without a name where there is one row."""
    series: dict[tuple[Any, ...], Series]
    """By the values of the columns `by`."""
    entries: list[tuple[str, Look]]
    """The legend. An entry that is for marks alone is grey, one for colors alone has no mark."""
    scale: tuple[str, list[str], list[Any]] | None = None
    """In place of entries for more than 8 colors: the field, and its values with their colors."""

    def of(self, frame: pd.DataFrame) -> Iterator[tuple[Series, pd.DataFrame]]:
        """Every series with its rows."""
        for key, rows in frame.groupby(list(self.by), sort=False):
            yield self.series[key], rows


def numbered(number: int) -> Look:
    """The look of one of many: 256 pairs of a color and a mark, 64 of a color and a dash, come before one returns."""
    turn = number // FEW
    marker = MARKERS[(number + turn) % len(MARKERS)]
    fill = FILLS[number // (FEW * len(MARKERS)) % len(FILLS)]
    return Look(COLORS[number % FEW], marker, DASHES[turn % len(DASHES)], fill)


def arrange(
    frame: pd.DataFrame, by: Sequence[str] = ("group",), color: str | None = None, facet: str | None = None
) -> Arrangement:
    """The looks of the series of a frame, one for each combination of the columns `by`.

    `color` and `facet` are fields to tell them apart by. Raises ConfigError for one in which they do not differ.
    """
    series = frame.drop_duplicates(list(by))
    fields = [name for name in fields_of(series) if name not in by]
    fields += [name for name in by if name != "group" and series[name].nunique() > 1]
    chosen = {name: field_named(name, fields, value) for name, value in (("color", color), ("facet", facet)) if value}
    groups = list(series["group"].unique())
    several = [name for name in fields if name in by]
    if not chosen and len(groups) <= FEW and not (len(fields) == 1 and _sequence(series[fields[0]])):
        if not several:
            return _alone(series, by, groups)
        if len(several) == 1 and series[several[0]].nunique() <= FEW:
            return _marked(series, by, groups, several[0])
    shared = _shared(series, by, fields, chosen.get("color"), chosen.get("facet"))
    if shared is None and len(several) == 0:
        return _alone(series, by, groups)
    return shared or _alone(series, by, [tuple(row) for row in series[list(by)].to_numpy()])


def fields_of(frame: pd.DataFrame) -> list[str]:
    """The fields of the config, and the folder, in which the rows of a frame differ, but for the seed."""
    known = [str(name) for name in frame if name in FIELDS or name == "folder"]
    return [name for name in known if name != "seed" and frame[name].map(str).nunique() > 1]


def field_named(option: str, fields: Sequence[str], asked: str) -> str:
    """The field that is meant, by its name or the end of it. Raises ConfigError where there is none."""
    for name in fields:
        if asked in (name, name.split(".")[-1], {"depth": "model.depth"}.get(name)):
            return name
    there = ["model.depth" if name == "depth" else name for name in fields]
    raise ConfigError(f"--{option}", asked, f"what these runs differ in: {', '.join(there) or 'nothing'}")


def in_words(field: str, column: pd.Series) -> pd.Series:
    """The values of a field in words, numbers with as few digits as tell them apart."""
    for digits in (2, 3, 6, 17):
        words = column.map(lambda value, digits=digits: in_word(field, value, digits))
        if words.nunique() == column.map(str).nunique():
            break
    return words


def in_word(field: str, value: Any, digits: int = 6) -> str:
    """One value of a field in words: a name alone, a number with the field's name."""
    if value is None or value != value:
        return f"{field.split('.')[-1]} not set"
    if isinstance(value, bool | np.bool_):
        return f"{field.split('.')[-1]} {str(value).lower()}"
    try:
        return f"{field.split('.')[-1]} {float(value):.{digits}g}"
    except ValueError:
        return f"{field.split('.')[-1]} {short(value)}" if value[:1] == "[" else str(value)


def _sequence(column: pd.Series) -> bool:
    """Whether a column holds numbers alone, several of them."""
    if column.map(lambda value: isinstance(value, bool | np.bool_)).any():
        return False
    return column.nunique() >= SEQUENCE and bool(pd.to_numeric(column, errors="coerce").notna().all())


def _alone(series: pd.DataFrame, by: Sequence[str], names: Sequence[Any]) -> Arrangement:
    """A color and a mark each; more than `CHUNK` are spread over rows of panels."""
    size = len(names) if len(names) <= CHUNK else max(CHUNK, -(-len(names) // FEW))
    number = {name: i for i, name in enumerate(names)}
    keys = [tuple(row) for row in series[list(by)].to_numpy()]
    places = {key: number[key if key in number else key[0]] for key in keys}
    starts = range(0, len(names), size)
    facets = [f"groups {i + 1} to {min(i + size, len(names))}" for i in starts] if len(starts) > 1 else [""]
    texts = [", ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in names]
    entries = [(text, numbered(i)) for i, text in enumerate(texts)]
    return Arrangement(tuple(by), facets, {key: Series(i // size, numbered(i)) for key, i in places.items()}, entries)


def _marked(series: pd.DataFrame, by: Sequence[str], groups: Sequence[Any], several: str) -> Arrangement:
    """A color each, and a mark and a dash for each value of a column that a group has several values of."""
    values = sorted(series[several].unique())
    found = {}
    for key in map(tuple, series[list(by)].to_numpy()):
        mark = values.index(key[list(by).index(several)])
        found[key] = Series(0, Look(COLORS[groups.index(key[0])], MARKERS[mark], DASHES[mark]))
    entries = [(str(name), Look(COLORS[i], "", "-")) for i, name in enumerate(groups)]
    entries += [(in_word(several, value), Look("0.4", MARKERS[i], DASHES[i])) for i, value in enumerate(values)]
    return Arrangement(tuple(by), [""], found, entries)


def _shared(
    series: pd.DataFrame, by: Sequence[str], fields: Sequence[str], color: str | None, facet: str | None
) -> Arrangement | None:
    """Colors by one field, marks by others, rows of panels by the rest; None where these are not enough."""
    words = {name: in_words(name, series[name]) for name in fields}
    sequences = {name for name in fields if _sequence(series[name])}
    asked = facet is not None or color is not None
    if facet is not None and words[facet].nunique() > FACETS:
        raise ConfigError(
            "--facet", facet, f"a field with at most {FACETS} values; this one has {words[facet].nunique()}"
        )
    numbers = {name: pd.factorize(words[name])[0] for name in fields}
    best: tuple[Any, ...] | None = None
    for hue in [color] if color else [name for name in fields if name != facet] or [None]:
        hues = words[hue].nunique() if hue else 1
        if hues > FEW and hue not in sequences and hue != color:
            continue
        rest = {name: numbers[name] for name in fields if name not in (hue, facet)}
        nothing = np.zeros(len(series), dtype=int)
        by_facet = numbers[facet] if facet else nothing
        for chosen, n_marks, rows in _splits(list(rest.values()), nothing, by_facet, FACETS if asked else FEW):
            marks = [name for place, name in enumerate(rest) if place in chosen]
            panels = ([facet] if facet else []) + [name for name in rest if name not in marks]
            crowd = n_marks if hue in sequences else n_marks * hues
            cost = (max(0, crowd - FEW), rows, -hues if hue in sequences else 0, n_marks)
            if best is None or cost < best[0]:
                best = cost, hue, marks, panels
    if best is None:
        return None
    _, hue, marks, panels = best
    colors, title = _colors(series, words, hue, sequences)
    mark_words, panel_words = _combined(words, marks, series), _combined(words, panels, series)
    mark_names, panel_names = _ordered(series, marks, mark_words), _ordered(series, panels, panel_words)
    hue_words = words[hue] if hue else pd.Series("", series.index)
    names = list(colors)
    few = len(names) <= FEW
    found = {}
    for index, key in zip(series.index, map(tuple, series[list(by)].to_numpy()), strict=True):
        mark = mark_names.index(mark_words[index])
        turn = mark if marks else names.index(hue_words[index]) if few else 0
        look = Look(colors[hue_words[index]], MARKERS[turn], DASHES[mark])
        found[key] = Series(panel_names.index(panel_words[index]), look)
    entries = []
    if few and hue:
        entries += [(text, Look(colors[text], "" if marks else MARKERS[i])) for i, text in enumerate(names)]
    if marks:
        entries += [(text, Look("0.4", MARKERS[i], DASHES[i])) for i, text in enumerate(mark_names)]
    scale = None if few else (title, names, list(colors.values()))
    return Arrangement(tuple(by), panel_names, found, entries, scale)


def _splits(
    fields: Sequence[np.ndarray], marks: np.ndarray, panels: np.ndarray, most: int
) -> list[tuple[tuple[int, ...], int, int]]:
    """Which fields marks can stand for, where rows of panels stand for the others: the places of theirs, fewest first;
    how many marks that takes, and how many rows.

    `fields`: the values of each, as numbers. `marks`, `panels`: what they stand for already. `most`: rows there may be.
    More fields never take fewer marks or rows, so that a choice which takes too many is not followed further.
    """
    found: list[tuple[tuple[int, ...], int, int]] = []
    if _count(_joint([marks, panels, *fields])) > len(MARKERS) * most:
        return found
    begun: list[tuple[int, tuple[int, ...], np.ndarray, np.ndarray]] = [(0, (), marks, panels)]
    while begun:
        place, chosen, marks, panels = begun.pop()
        n_marks, rows = _count(marks), _count(panels)
        if n_marks > len(MARKERS) or rows > most:
            continue
        if place == len(fields):
            found.append((chosen, n_marks, rows))
            continue
        begun.append((place + 1, (*chosen, place), _joint([marks, fields[place]]), panels))
        begun.append((place + 1, chosen, marks, _joint([panels, fields[place]])))
    return sorted(found, key=lambda split: (len(split[0]), split[0]))


def _joint(numbers: Sequence[np.ndarray]) -> np.ndarray:
    """The combinations of several numbers, as numbers from 0."""
    found = numbers[0]
    for one in numbers[1:]:
        found = np.unique(found * (one.max(initial=0) + 1) + one, return_inverse=True)[1]
    return found


def _count(numbers: np.ndarray) -> int:
    return len(np.unique(numbers))


def _combined(words: dict[str, pd.Series], names: Sequence[str], series: pd.DataFrame) -> pd.Series:
    """What the values of several fields are called together; empty for none."""
    texts = [", ".join(parts) for parts in zip(*(words[name] for name in names), strict=True)] if names else ""
    return pd.Series(texts, series.index, dtype=object)


def _ordered(series: pd.DataFrame, names: Sequence[str], words: pd.Series) -> list[str]:
    """The different words in the order of the values that they stand for: of numbers by size, else as they come."""
    order = series.assign(_words=words)
    for name in reversed(names):
        if _sequence(series[name]) or pd.api.types.is_numeric_dtype(series[name]):
            order = order.sort_values(name, kind="stable", key=pd.to_numeric)
    return list(order["_words"].unique())


def _colors(
    series: pd.DataFrame, words: dict[str, pd.Series], hue: str | None, sequences: set[str]
) -> tuple[dict[str, Any], str]:
    """Word -> color, in order, and what they are of."""
    if hue is None:
        return {"": COLORS[0]}, ""
    names = _ordered(series, [hue], words[hue])
    if hue in sequences or len(names) > FEW:
        return {name: layer_color(i + 1, len(names)) for i, name in enumerate(names)}, hue.split(".")[-1]
    return dict(zip(names, COLORS, strict=False)), hue.split(".")[-1]
