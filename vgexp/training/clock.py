"""Time by label, on the host or between CUDA events."""

import time

import torch

from vgexp.networks import Key

Label = tuple[str, Key]
"""A column and a part."""


class Clock:
    """Each mark books what has passed since the last one."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: list[tuple[Label | None, float | torch.cuda.Event]] = []
        self.mark(None)

    def mark(self, label: Label | None) -> None:
        """Books the time since the last mark; None books it to nobody (the observer's own work)."""
        if self._cuda:
            now = torch.cuda.Event(enable_timing=True)
            now.record()
        else:
            now = time.perf_counter()
        self._marks.append((label, now))

    def milliseconds(self) -> dict[Label, float]:
        """The time of each label; waits for the device."""
        totals: dict[Label, float] = {}
        for (_, start), (label, end) in zip(self._marks[:-1], self._marks[1:], strict=True):
            if label is not None:
                totals[label] = totals.get(label, 0.0) + _elapsed(start, end)
        return totals


def _elapsed(start: float | torch.cuda.Event, end: float | torch.cuda.Event) -> float:
    if isinstance(start, torch.cuda.Event) and isinstance(end, torch.cuda.Event):
        end.synchronize()
        return start.elapsed_time(end)
    assert isinstance(start, float) and isinstance(end, float)
    return 1000 * (end - start)
