"""Records: from observations on the device to tidy tables on the host.

Legend: T steps, R rows (parts), M members.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vgexp.networks import Key
from vgexp.numerics import QUANTITIES, Numbers, numbers
from vgexp.results import TABLES
from vgexp.training.observations import MEANS, Observation

GATHERED = 2**16
"""Numbers that are kept before they are made into tables: in lists they take ten times their room."""
ROWS = 2**18
"""Rows that are kept before they should be saved, of 120 bytes. A save writes all rows anew, and takes three times the
room of the new ones."""


class Records:
    """The tables of one stack, growing while it trains until they are saved."""

    def __init__(
        self,
        runs: Sequence[str],
        weights: Mapping[Key, int],
        rates: Callable[[Sequence[int]], np.ndarray],
        batch_size: int,
        costs: Mapping[Key, Mapping[str, float]],
    ) -> None:
        """`weights` counts each part's, `rates` gives their learning rates at some steps, (T, R, M)."""
        self.runs, self._rows, self._costs = list(runs), list(weights), costs
        self._rates, self._batch_size = rates, batch_size
        self._weights_R1 = np.array([[count] for count in weights.values()])
        self._frames: dict[str, list[pd.DataFrame]] = {}
        self._observed: list[Observation] = []
        self._steps: list[tuple[int, dict[str, Numbers]]] = []

    def observe(self, observation: Observation) -> None:
        """Keeps an observation: what is on a device stays there until `tables` is asked for, or many are kept."""
        self._observed.append(observation)

    def step(self, step: int, **columns: Tensor) -> None:
        """Keeps one row of the `steps` table a member, its observation being kept already; each column is (M,)."""
        # On a host as numbers: small tensors that stay would break up the room that a step's large ones come back to.
        self._steps.append((step, {name: numbers(column_M) for name, column_M in columns.items()}))
        if len(self._observed) * len(MEANS) * len(self._rows) * len(self.runs) > GATHERED:
            self._flush()

    def tables(self) -> dict[str, pd.DataFrame]:
        """All rows since the last `forget`, sorted by key."""
        self._flush()
        tables = {}
        for name, table in TABLES.items():
            if name in self._frames:
                rows = pd.concat(self._frames.pop(name), ignore_index=True)  # what is put together is not there twice
                tables[name] = rows.sort_values(list(table.key), ignore_index=True)
                self._frames[name] = [tables[name]]
        return tables

    def forget(self) -> None:
        """Lets go of the rows that `tables` returned: they are saved."""
        self._frames = {}

    @property
    def many(self) -> bool:
        """Whether so many rows have gathered that they should be saved."""
        return sum(len(frame) for frames in self._frames.values() for frame in frames) > ROWS

    def _flush(self) -> None:
        """Moves what has gathered into frames."""
        grad_rms: dict[int, np.ndarray] = {}
        if self._observed:
            columns, steps = self._columns(), [observation.step for observation in self._observed]
            self._keep("layers", self._layers_frame(steps, columns))
            self._keep("histograms", self._histograms_frame())
            self._keep("spectra", self._spectra_frame())
            squares_TM = (columns["dw_rms"] ** 2 * self._weights_R1).sum(1) / self._weights_R1.sum()
            grad_rms = dict(zip(steps, np.sqrt(squares_TM), strict=True))
        if self._steps:
            self._keep("steps", self._steps_frame(grad_rms))
        self._observed, self._steps = [], []

    def _keep(self, table: str, frame: pd.DataFrame) -> None:
        if len(frame):
            self._frames.setdefault(table, []).append(frame)

    @np.errstate(invalid="ignore", divide="ignore")  # 0 / 0 was not seen; a diverged member has inf / inf
    def _columns(self) -> dict[str, np.ndarray]:
        """The columns of the parts that were observed since, (T, R, M)."""
        columns = {}
        for i, name in enumerate(MEANS):
            counts_TR1 = np.array([observation.counts[i] for observation in self._observed])[..., None]
            means_TRM = self._gathered([observation.sums[i] for observation in self._observed]) / counts_TR1
            columns[name] = means_TRM if name == "h_mean" else np.sqrt(means_TRM)
        columns["h_rms"] = np.hypot(columns["h_mean"], columns["h_std"])
        for name in self._observed[0].columns:
            columns[name] = self._gathered([observation.columns[name] for observation in self._observed])
        direction = columns["dw_rms"]
        if "direction_norm" in columns:
            direction = columns.pop("direction_norm") / np.sqrt(self._weights_R1)
        rates_TRM = self._rates([observation.step for observation in self._observed])
        columns["update_ratio"] = rates_TRM * direction / columns["w_rms"]
        row = {key: i for i, key in enumerate(self._rows)}
        for t, observation in enumerate(self._observed):
            for (name, key), milliseconds in observation.milliseconds().items():
                columns.setdefault(name, np.full(direction.shape, np.nan))[t, row[key]] = milliseconds
        for key, costs in self._costs.items():
            for name, value in costs.items():
                columns.setdefault(name, np.full(direction.shape, np.nan))[:, row[key]] = value
        return columns

    def _gathered(self, columns: Sequence[Any]) -> np.ndarray:
        """A column of several steps, (T, R, M)."""
        return _host(columns).reshape(len(columns), len(self._rows), len(self.runs))

    def _layers_frame(self, steps: list[int], columns: dict[str, np.ndarray]) -> pd.DataFrame:
        step, row, run = (axis.ravel() for axis in np.meshgrid(steps, range(len(self._rows)), self.runs, indexing="ij"))
        layers, parts = (np.array(column) for column in zip(*self._rows, strict=True))
        frame = pd.DataFrame({"run": run, "step": step, "layer": layers[row], "part": parts[row]})
        for name in dict.fromkeys([*TABLES["layers"].names, *QUANTITIES]):  # users add quantities of their own
            if name in columns:
                frame[name] = columns[name].ravel()
        return frame

    def _steps_frame(self, grad_rms: Mapping[int, np.ndarray]) -> pd.DataFrame:
        """`grad_rms` of the steps that were observed: the batch's gradient over the weights of all parts."""
        steps = np.array([step for step, _ in self._steps])
        columns: dict[str, np.ndarray] = {"examples": np.repeat(steps * self._batch_size, len(self.runs))}
        for name in TABLES["steps"].columns[1:]:
            found = {i: measured[name] for i, (_, measured) in enumerate(self._steps) if name in measured}
            if name == "grad_rms":
                found = {i: grad_rms[step] for i, step in enumerate(steps) if step in grad_rms}
            values_TM = np.full((len(steps), len(self.runs)), np.nan)
            if found:
                values_TM[list(found)] = _host(list(found.values()))
            columns[name] = values_TM.ravel()
        return pd.DataFrame({"run": np.tile(self.runs, len(steps)), "step": np.repeat(steps, len(self.runs))} | columns)

    def _histograms_frame(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "run": run,
                "step": observation.step,
                "layer": layer,
                "part": part,
                "quantity": quantity,
                "edges": edges_MK[m].tolist(),
                "density": density_MK[m].tolist(),
            }
            for observation in self._observed
            for (quantity, (layer, part)), (edges_MK, density_MK) in observation.histograms.items()
            for m, run in enumerate(self.runs)
        )

    def _spectra_frame(self) -> pd.DataFrame:
        return pd.DataFrame(
            {"run": run, "step": observation.step, "layer": layer, "singular_values": values_MN[m].tolist()}
            for observation in self._observed
            for layer, values_MN in observation.spectra.items()
            for m, run in enumerate(self.runs)
        )


def _host(columns: Sequence[Any]) -> np.ndarray:
    """Numbers of several steps, tensors or lists, as one array on the host, a row a step."""
    if isinstance(columns[0], Tensor):
        return torch.stack(list(columns)).cpu().numpy()
    return np.array(columns)
