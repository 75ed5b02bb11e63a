"""A run of any length as a trainer publishes it: epochs, validation, a frame now and then."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from measure.published import SMALL, Ready, make_arrays
from trainer.publish import BatchKeys, FrameArrays, Publisher

VALIDATION: Final = 20
"""Validation batches of an epoch; the first five have a frame, and get a dashboard."""
FRAMES_OF_VALIDATION: Final = 5
_MOST_UNACKED: Final = 4096
_MOST_BEHIND: Final = 20_000
_LOOK_EVERY: Final = 64


class Values(Ready):
    """Values of one batch: a loss that falls, ten numbers in all."""

    def scalars(self) -> dict[str, float]:
        step = self._step
        loss = 0.02 + 0.3 * math.exp(-step / 200_000) + 0.01 * math.sin(0.7 * step)
        own = {f"scalar_{i}": math.sin(step / (10 + i)) for i in range(6)}
        times = {"training_time_ms": 10 + math.sin(step), "memory_mb": 900.0}
        return {"loss": loss, "mse": 0.9 * loss, **times, **own}


@dataclass
class Simulated:
    """Publishes `batches` batches, as fast as their scalars are committed and released.

    Parameters
    ----------
    batches : int
        Training and validation batches in all.
    epoch : int
        Training batches of an epoch.
    frame_every : int
        Training batches from one frame to the next, unless one is still with the analyzer.
    on_batch : callable
        Gets the number of batches that are handed over, every 64 of them, and says how many of
        them are not released yet.
    """

    publisher: Publisher
    batches: int
    epoch: int
    frame_every: int
    on_batch: Callable[[int], int]
    frames: int = 0
    _arrays: FrameArrays = field(default_factory=lambda: make_arrays(SMALL))
    _done: int = 0
    _events: int = 0
    _steps: dict[str, int] = field(default_factory=lambda: {"train": 0, "val": 0})

    def run(self) -> None:
        """Publish all of it."""
        epoch = 0
        while self._done < self.batches:
            for number in range(self.epoch):
                self._batch("train", epoch, number)
            for number in range(VALIDATION):
                self._batch("val", epoch, number)
            self.publisher.epoch_ended(epoch, self._steps["train"])
            self._events += 1
            epoch += 1

    def _batch(self, phase: Any, epoch: int, number: int) -> None:
        if self._done >= self.batches:
            return
        self._steps[phase] += 1
        arrays = self._arrays if self._has_frame(phase, number) else None
        self.frames += arrays is not None
        keys = BatchKeys(phase, epoch, number, self._steps["train"], self._steps[phase])
        keys.batch_size = 4
        self.publisher.publish(keys, Values(self._steps[phase], arrays))
        self._done += 1
        if self._done % _LOOK_EVERY == 0:
            while self._unacked > _MOST_UNACKED:
                time.sleep(0.001)
            while self.on_batch(self._done) > _MOST_BEHIND:
                time.sleep(0.01)

    def _has_frame(self, phase: str, number: int) -> bool:
        if phase == "val":
            return number < FRAMES_OF_VALIDATION
        return self._steps["train"] % self.frame_every == 0 and self._frames_pending == 0

    @property
    def _unacked(self) -> int:
        """Records that were handed over and are not committed; some may not be made yet."""
        return self._done + self._events + 1 - self.publisher.progress.books.records.committed

    @property
    def _frames_pending(self) -> int:
        totals = self.publisher.progress.totals
        return sum(each.offered - each.delivered - each.dropped for each in totals.values())
