"""Status: how far the runs of a sweep are."""

import pandas as pd

from vgexp.results.tables import Results

STATUSES = ("done", "running", "failed", "missing")


def statuses(results: Results) -> pd.DataFrame:
    """A row a run that was planned or started: `run`, `status`, `step` and `note`.

    A run that was planned and left no row is missing. The note is the error of a failed run, else what differs from the
    defaults.
    """
    started = {row["run"]: row for row in results.runs.to_dict("records")}
    rows = []
    for run in dict.fromkeys([*results.planned, *started]):
        row = started.get(run, {"status": "missing"})
        changed = " ".join(f"{key}={value}" for key, value in results.planned.get(run, {}).items())
        step = "" if pd.isna(row.get("step")) else int(row["step"])
        rows.append((run, row["status"], step, row.get("message") or changed))
    return pd.DataFrame(rows, columns=["run", "status", "step", "note"])
