"""How much memory training takes, read now and then on the sender thread."""

import math
import time
from collections.abc import Callable
from typing import Final

import psutil
import torch

_MIB: Final = 1 << 20
_INTERVAL_S: Final = 0.25


class MemoryGauge:
    """Memory in MiB, at most a quarter of a second old; a `trainer.capture.values.Reading`.

    NaN where it cannot be read now: a process that has too many files open, say.

    Allocated memory of the device for a GPU, else the process's resident memory. Reading it
    takes longer than a hand-over, so the sender thread asks, as it reads a step's numbers.
    """

    def __init__(
        self, device: torch.device, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._device = device
        self._clock = clock
        self._process = psutil.Process()
        self._read_at_s = float("-inf")
        self._value_mb = math.nan

    def ready(self) -> bool:
        """Always."""
        return True

    def value(self) -> float:
        """Latest value, read again when it is too old."""
        now_s = self._clock()
        if now_s - self._read_at_s >= _INTERVAL_S:
            self._read_at_s = now_s
            try:
                self._value_mb = self._read() / _MIB
            except Exception:  # it must not cost the batch its loss
                self._value_mb = math.nan
        return self._value_mb

    def _read(self) -> int:
        if self._device.type == "cuda":
            # `memory_allocated` first flattens every number that there is, by name.
            counted = torch.cuda.memory_stats_as_nested_dict(self._device)
            return int(counted["allocated_bytes"]["all"]["current"])
        return int(self._process.memory_info().rss)
