"""One step's frame: which file it is in, and its arrays, decoded once for all viewers."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analyzer_service.commit.kept_steps import FrameRow
from analyzer_service.commit.reader import RunReader
from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import open_regular
from analyzer_service.page.memory import BoundedMemory
from analyzer_service.sinks.frames import read_frame
from shared.messages import BatchFrame

BUDGET_BYTES: Final = 96 << 20
_GONE: Final = 410
_LARGEST: Final = 2**63


@dataclass(frozen=True, slots=True)
class Step:
    """A step as a viewer asked for it: `release` is the row that they saw, None for the latest."""

    phase: str
    number: int
    release: int | None = None

    def __str__(self) -> str:
        return f"step {self.number} of {self.phase}"


class Frames:
    """Decoded frames of every run, those seen last; safe among threads."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self._memory: BoundedMemory[BatchFrame] = BoundedMemory(budget_bytes, _size)

    def read(self, folder: Path, row: FrameRow) -> BatchFrame:
        """Frame of a row that `find_row` found.

        Raises
        ------
        PageError
            410, if its file is gone or damaged.
        """
        path = folder / str(row.file)
        gone = PageError(
            _GONE,
            f"The images of step {row.phase_step} of {row.phase} are gone, or their file is "
            "damaged. The numbers of the step are kept.",
        )
        try:
            with open_regular(path, folder) as file:
                found = os.fstat(file.fileno())
        except OSError as error:
            raise gone from error

        def decode() -> BatchFrame:
            frame = read_frame(folder, str(row.file))
            if frame is None:
                raise gone
            return frame

        return self._memory.get((path, found.st_mtime_ns, found.st_size), decode)


def find_row(reader: RunReader, step: Step) -> FrameRow:
    """Row of a step whose frame is kept.

    Raises
    ------
    PageError
        404, if there is no such step; 410, if its images are not kept any more, or the row that
        the viewer saw is superseded.
    """
    known = step.phase in ("train", "val") and 0 <= step.number < _LARGEST
    rows = reader.kept_steps().rows(step.phase, step.number) if known else []
    if not rows:
        raise PageError(404, f"This run has no {step}.")
    if step.release is not None:
        rows = [row for row in rows if row.release == step.release]
    if not rows or (row := rows[0]).superseded:
        raise PageError(
            _GONE,
            f"The {step} is superseded: the run was taken up from an earlier step. Choose one of "
            "the steps that are there now.",
        )
    if row.frame is None:
        raise PageError(
            404, f"No images of {step} arrived; its loss and timings are in the charts."
        )
    if row.file is None:
        raise PageError(
            _GONE,
            f"The images of {step} are not kept: only detailed steps have them, and the oldest go "
            "when the run's space for images is full.",
        )
    return row


def _size(frame: BatchFrame) -> int:
    images = frame.input.nbytes + frame.reconstruction.nbytes
    return images + sum(
        maps.nbytes for maps in (*frame.attention.values(), *frame.activation.values())
    )
