"""Facts: what a page knows of the results, as values for JSON, with the places of their numbers.

Everything is by run: its config, its profiles over the layers at every recorded step, its curves over training, its
distributions. Runs that differ in their seed only are a group. Of a large sweep all runs are listed, and some can be
explored.
"""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vgexp.figures import signals
from vgexp.figures.profiles import theory_of
from vgexp.figures.recorded import MARKS, hidden
from vgexp.networks import FAMILIES
from vgexp.pages.packing import LARGEST, Numbers
from vgexp.results import TABLES, Results, fit, label
from vgexp.results.grouping import conditions
from vgexp.results.profiles import LayerArrays

CURVES = TABLES["steps"].columns[1:]
"""What the panel of curves can show."""
FIRST = ("dz_rms", "dx_rms", "dw_rms", "h_std", "z_rms", "update_ratio", "saturation", "dead", "w_rms")
"""Columns of `layers` in the order of the menu; all others follow."""
SERIES = ("edges", "density", "singular_values")
"""Columns of `histograms` and `spectra` whose cells are series."""
DISTRIBUTED = 400_000
"""Numbers of histograms and spectra that a page carries at most."""
PROFILED = 1_500_000
"""Numbers of profiles that a page carries at most, but for the first quantity: some 2.4 bytes each."""
THEORIES = 60
"""Groups whose theory a page shows at most: it takes up to a second each."""
LOOKED_AT = 100
"""Runs all whose columns are read; of more than that those that the page has room for."""
SAMPLE = 5
"""Runs of these that mostly tell which columns have numbers."""
EXPLORED = 1000
"""Runs that can be explored at most: whose profiles, curves and distributions a page carries."""


def facts(results: Results, numbers: Numbers) -> dict[str, Any]:
    """What the page's scripts read; the numbers go into `numbers`."""
    runs = results.runs.sort_values(["started", "run"], kind="stable")
    fields = conditions(runs)
    named = {} if runs.empty else results.groups()
    group_of = {run: index for index, members in enumerate(named.values()) for run in members["run"]}
    chosen = _explored(named)
    some = results if len(chosen) == len(runs) else results.select(chosen)
    shown = {name: place for place, name in enumerate(dict.fromkeys(group_of[run] for run in chosen))}
    rows, recorded = _recorded(some)
    columns = recorded[: max(1, PROFILED // max(1, len(rows)))]
    if lacking := [column for column in columns if column not in rows]:
        rows = rows.join(hidden(some, *lacking)[lacking])
    profiles, (curves, thinned) = _profiles(rows, columns, numbers), _curves(some, numbers, len(shown))
    distributions, left_out = _distributions(some, [run for run in runs["run"] if run in set(chosen)], numbers)
    initial = LayerArrays(results.initial)
    told = ["run", "seed", "model.depth", "status", "diverged_at", "seconds"]
    finals = [str(name) for name in runs if str(name).startswith("final_")]
    rows_of_runs = runs[list(dict.fromkeys([*told, *fields, *finals]))].to_dict("records")
    return {
        "fields": fields,
        "columns": {column: label(column) for column in columns},
        "curves": {column: label(column) for column in CURVES if any(column in one["at"] for one in curves.values())},
        "groups": [
            _group(name, members, initial, numbers, shown.get(place, THEORIES) < THEORIES)
            for place, (name, members) in enumerate(named.items())
        ],
        "runs": [
            {
                "id": row["run"],
                "group": group_of[row["run"]],
                "seed": int(row["seed"]),
                "depth": int(row["model.depth"]),
                "config": {field: _plain(row[field]) for field in fields},
                "status": row["status"],
                "diverged": None if pd.isna(row["diverged_at"]) else int(row["diverged_at"]),
                "seconds": _plain(row["seconds"]),
                "final": {name: _plain(row[name]) for name in finals},
                "command": _command(results.planned.get(row["run"])),
                "profiles": profiles.get(row["run"]),
                "curves": curves.get(row["run"]),
                "left_out": row["run"] in left_out,
            }
            for row in rows_of_runs
        ],
        "distributions": distributions,
        "left_out": [
            *_unexplored(named, chosen, len(shown)),
            *thinned,
            *_left_out(recorded[len(columns) :], len(shown), len(chosen), left_out),
        ],
    }


def _explored(named: Mapping[str, pd.DataFrame]) -> list[str]:
    """The runs that can be explored: of as many groups as a figure has room for, evenly spaced, the first seeds."""
    if not named:
        return []
    room = max(1, MARKS // max(int(members["model.depth"].max()) for members in named.values()))
    places = np.unique(np.linspace(0, len(named) - 1, min(room, len(named))).round().astype(int))
    shown = [members for place, members in enumerate(named.values()) if place in set(places.tolist())]
    whole = sum(map(len, shown)) <= EXPLORED
    seeds = None if whole else max(1, EXPLORED // len(shown))
    return [run for members in shown for run in members.sort_values("seed", kind="stable")["run"][:seeds]]


def _unexplored(named: Mapping[str, pd.DataFrame], chosen: Sequence[str], networks: int) -> list[str]:
    """That of the groups and their runs some can be explored, in a sentence; nothing where all can."""
    runs = sum(map(len, named.values()))
    if len(chosen) == runs:
        return []
    some = (
        f"{networks} of {len(named)} networks, evenly spaced" if networks < len(named) else f"all {networks} networks"
    )
    return [
        f"Of {runs} runs {len(chosen)} can be explored: the first seeds of {some}. All are in the table of runs; "
        "figures and fits are of all runs where they do not say otherwise."
    ]


def _recorded(results: Results) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the hidden layers, and the columns with numbers in them, in the order of the menu. Of many runs the
    rows have the first of these columns: one run may tell which these are, and there is no room for all."""
    ids = list(results.runs["run"])
    if len(ids) <= LOOKED_AT:
        rows = hidden(results)
        return rows, [column for column in _columns(rows) if rows[column].notna().any()]
    some = hidden(results.select(ids[:SAMPLE]))
    found = [
        column
        for column in _columns(results.table("layers", steps=[-1]))  # no rows, all columns
        if (column in some and some[column].notna().any()) or hidden(results, column)[column].notna().any()
    ]
    return hidden(results, *found[:1]), found


def _columns(layers: pd.DataFrame) -> list[str]:
    found = [str(c) for c in layers if c not in TABLES["layers"].key and layers[c].dtype.kind == "f"]
    return sorted(found, key=lambda c: FIRST.index(c) if c in FIRST else len(FIRST))


def _group(name: str, members: pd.DataFrame, initial: LayerArrays, numbers: Numbers, expects: bool) -> dict[str, Any]:
    """A group: its name, what becomes of its gradient at initialisation, and, where it `expects` something, theory."""
    family = members["model.family"].iloc[0]
    depth, signal = int(members["model.depth"].iloc[0]), signals()[family]
    found: dict[str, Any] = {"name": name, "depth": depth, "signal": signal, "verdict": "", "factor": None}
    measured = initial(members["run"], signal, depth)
    if len(measured) and not np.isnan(measured).all():
        fitted = fit(measured, family in FAMILIES and FAMILIES[family].chain)
        found |= {"verdict": fitted.verdict, "factor": _plain(fitted.factor.point), "fall": _plain(fitted.fall.point)}
    if expects and len(measured):
        expected = theory_of(members)
        found["theory"] = {
            column: numbers.add(expected[column].to_numpy()[:depth])
            for column in expected
            if column in ("z_rms", "h_mean", "h_std", "dz_rms", "dx_rms") and expected[column].notna().any()
        }
    return found


def _profiles(rows: pd.DataFrame, columns: Sequence[str], numbers: Numbers) -> dict[str, dict[str, Any]]:
    """By run: the recorded steps, the number of layers, and where each column is, step by step, layer by layer."""
    found = {}
    run, ids = pd.factorize(rows["run"])
    order = np.argsort(run, kind="stable")
    ends = np.cumsum(np.bincount(run, minlength=len(ids)))
    step, layer = rows["step"].to_numpy(), rows["layer"].to_numpy(dtype=int)
    values = {column: rows[column].to_numpy(dtype=float) for column in columns}
    for name, mine in zip(ids, np.split(order, ends), strict=False):  # after the last end there is nothing
        steps, layers = np.unique(step[mine]), int(layer[mine].max())
        cells, at = (np.searchsorted(steps, step[mine]), layer[mine] - 1), {}
        for column in columns:
            if np.isnan(values[column][mine]).all():
                continue
            block = np.full((len(steps), layers), np.nan)
            block[cells] = values[column][mine]
            at[column] = numbers.add(block)[0]
        found[name] = {"steps": steps.tolist(), "layers": layers, "at": at}
    return found


def _curves(results: Results, numbers: Numbers, networks: int) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """By run: the steps with losses, and where each column is; and, in a sentence, that these are not all steps: curves
    of so many networks have as many points as a figure has room for."""
    found: dict[str, dict[str, Any]] = {}
    room, longest = max(2, MARKS // max(1, networks)), 0
    for run, block in results.table("steps", ["run", "step", *CURVES]).groupby("run", sort=False):
        longest = max(longest, len(block))
        if len(block) > room:
            block = block.iloc[np.linspace(0, len(block) - 1, room).round().astype(int)]
        there = [column for column in CURVES if column in block and block[column].notna().any()]
        at = {column: numbers.add(block[column])[0] for column in there}
        found[str(run)] = {"steps": block["step"].tolist(), "at": at}
    return found, [f"Curves have {room} of {longest} steps, evenly spaced."] if longest > room else []


def _distributions(
    results: Results, runs: Sequence[str], numbers: Numbers
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Histograms and spectra, of one run after the other until the page carries its share; and how many are left out,
    by run.
    """
    histograms = hidden(results, *SERIES[:2], table="histograms").dropna(subset=["edges", "density"])
    spectra = results.spectra.dropna(subset=["singular_values"]).assign(quantity="spectrum")
    of_run: dict[str, list[dict[Any, Any]]] = {run: [] for run in runs}
    for table in (histograms.sort_values(["step", "layer"]), spectra):
        for row in table.to_dict("records"):
            of_run[row["run"]].append(row)
    found, left_out, room = [], {}, DISTRIBUTED
    for run, rows in of_run.items():
        room -= sum(len(row[name]) for row in rows for name in SERIES if name in row)
        if rows and room < 0:
            left_out[run] = len(rows)
            continue
        for row in rows:
            places = {name: numbers.add(row[name]) for name in SERIES if name in row}
            found.append({key: row[key] for key in ("run", "step", "layer", "quantity")} | places)
    return found, left_out


def _left_out(columns: Sequence[str], networks: int, runs: int, distributions: Mapping[str, int]) -> list[str]:
    """What the page leaves out, a sentence each; `distributions` by run."""
    found = []
    if columns:
        found.append(f"Profiles are left out of: {', '.join(map(label, columns))}.")
    if networks > THEORIES:
        found.append(f"Theory is computed for the first {THEORIES} of {networks} networks.")
    if distributions:
        rows = sum(distributions.values())
        found.append(f"{rows} histograms and spectra are left out, those of {len(distributions)} of {runs} runs.")
    return found


def _command(changes: Mapping[str, Any] | None) -> str:
    """What is typed to compute a run by itself."""
    if changes is None:
        return ""
    words = {key: value if isinstance(value, str) else json.dumps(value) for key, value in changes.items()}
    return shlex.join(["vgexp", "train", *(f"{key}={word}" for key, word in words.items())])


def _plain(value: Any) -> Any:
    """A cell for JSON: a number only where it is finite."""
    if value is None or isinstance(value, str):
        return value
    number = float(value)
    if not math.isfinite(number) or abs(number) > LARGEST:
        return None
    return int(number) if number == int(number) else number
