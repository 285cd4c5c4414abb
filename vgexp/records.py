"""Records: from observations on the device to tidy tables on the host."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from vgexp.probes import Column, Observation
from vgexp.store import KEYS, TABLES

# fmt: off
COLUMNS = {
    "steps": [
        "examples", "train_loss", "train_error", "valid_loss", "valid_error", "test_loss", "test_error",
        "grad_rms"
    ],
    "layers": [
        "z_rms", "h_mean", "h_std", "h_rms", "h_p02", "h_p98", "saturation", "dead", "dz_rms", "dw_rms",
        "w_rms", "w_max", "update_ratio", "rebuild_error", "forward_ms", "backward_ms", "flops",
        "forward_flops", "backward_flops", "saved_bytes"
    ],
    "histograms": ["quantity", "edges", "density"],
    "spectra": ["singular_values"],
}
# fmt: on
"""The columns of each table after its key."""


class Records:
    """The tables of one stack, growing while it trains."""

    def __init__(
        self,
        runs: Sequence[str],
        parameters: Mapping[int, int],
        lr: Sequence[float],
        costs: Mapping[int, Mapping[str, float]],
        tables: Mapping[str, pd.DataFrame] | None = None,
    ) -> None:
        """`parameters` counts each layer's weights; `tables` is what an interrupted training left behind."""
        self.runs, self._parameters, self._costs = list(runs), dict(parameters), costs
        self._lr = np.asarray(lr)
        self._frames = {name: [frame] for name, frame in (tables or {}).items()}
        self._observed: list[tuple[int, dict[str, Column]]] = []
        self._steps: list[tuple[int, dict[str, Tensor]]] = []

    def observe(self, observation: Observation) -> None:
        """Keeps an observation: its numbers stay on the device until `tables` is asked for."""
        self._observed.append((observation.step, observation.columns()))
        self._keep_lists(observation)

    def step(self, step: int, **columns: Tensor) -> None:
        """Keeps one row of the `steps` table a member; each column is (M,)."""
        self._steps.append((step, columns))

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables so far, sorted by key."""
        self._flush()
        tables = {}
        for name in TABLES[1:]:
            frames = self._frames.get(name, [])
            if frames:
                merged = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
                self._frames[name] = [merged]
                tables[name] = merged.sort_values(KEYS[name], ignore_index=True)
        return tables

    def _flush(self) -> None:
        """Moves what has gathered on the device into frames."""
        if self._observed:
            self._frames.setdefault("layers", []).append(self._layers_frame())
        if self._steps:
            self._frames.setdefault("steps", []).append(self._steps_frame())
        self._observed, self._steps = [], []

    def _layers_frame(self) -> pd.DataFrame:
        steps, layers = [step for step, _ in self._observed], list(self._parameters)
        shape = (len(steps), len(layers), len(self.runs))
        columns: dict[str, np.ndarray] = {}
        for i, (_, measured) in enumerate(self._observed):
            for name, values_LM in measured.items():
                cube = columns.setdefault(name, np.full(shape, np.nan))
                cube[i] = values_LM.cpu() if isinstance(values_LM, Tensor) else values_LM
        self._derive(columns, layers)
        step, layer, member = (part.ravel() for part in np.meshgrid(steps, layers, self.runs, indexing="ij"))
        frame = pd.DataFrame({"run": member, "step": step, "layer": layer})
        for name in COLUMNS["layers"]:
            if name in columns:
                frame[name] = columns[name].ravel()
        return frame

    def _derive(self, columns: dict[str, np.ndarray], layers: list[int]) -> None:
        if "h_std" in columns:
            columns["h_rms"] = np.hypot(columns["h_mean"], columns["h_std"])
        if "w_norm" in columns:
            size_L1 = np.sqrt([[self._parameters[layer]] for layer in layers])
            direction = columns.pop("direction_norm", columns["dw_norm"])
            with np.errstate(invalid="ignore", divide="ignore"):  # a diverged member: inf / inf
                columns["update_ratio"] = self._lr * direction / columns["w_norm"]
            columns["w_rms"] = columns.pop("w_norm") / size_L1
            columns["dw_rms"] = columns.pop("dw_norm") / size_L1
        for i, layer in enumerate(layers):
            for name, value in self._costs.get(layer, {}).items():
                shape = columns["z_rms"].shape
                columns.setdefault(name, np.full(shape, np.nan))[:, i] = value

    def _steps_frame(self) -> pd.DataFrame:
        frames = []
        for step, columns in self._steps:
            frame = pd.DataFrame({"run": self.runs, "step": step})
            for name in COLUMNS["steps"]:
                frame[name] = columns[name].cpu().numpy() if name in columns else np.nan
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def _keep_lists(self, observation: Observation) -> None:
        if observation.histograms:
            self._frames.setdefault("histograms", []).append(
                pd.DataFrame(
                    {
                        "run": run,
                        "step": observation.step,
                        "layer": layer,
                        "quantity": quantity,
                        "edges": edges_MK[m].tolist(),
                        "density": density_MK[m].tolist(),
                    }
                    for (quantity, layer), (edges_MK, density_MK) in observation.histograms.items()
                    for m, run in enumerate(self.runs)
                )
            )
        if observation.spectra:
            self._frames.setdefault("spectra", []).append(
                pd.DataFrame(
                    {
                        "run": run,
                        "step": observation.step,
                        "layer": layer,
                        "singular_values": values_MN[m].tolist(),
                    }
                    for layer, values_MN in observation.spectra.items()
                    for m, run in enumerate(self.runs)
                )
            )
