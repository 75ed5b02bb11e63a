"""The detailed steps whose images and maps a run's folder still holds, and the tiles in them."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from analyzer_service.commit.packing import NameLists
from analyzer_service.commit.run_rows import RUN
from shared.messages import Phase

# Few frames are kept of many rows. Without the two words of order SQLite reads all rows.
_FROM_FRAMES: Final = (
    "FROM frames f CROSS JOIN batches b ON b.phase = f.phase AND b.phase_step = f.phase_step "
    "AND b.frame = f.id AND b.superseded = 0"
)
_FROM_ROWS: Final = "FROM batches b CROSS JOIN frames f ON f.id = b.frame AND b.superseded = 0"
_KEPT: Final = "WHERE f.file IS NOT NULL"


@dataclass(frozen=True, slots=True)
class KeptStep:
    """A released row with its images: `dashboard` is a file's name, once one is drawn."""

    release: int
    phase: Phase
    phase_step: int
    global_step: int
    epoch: int
    rank: int
    samples: int
    ssim: float | None
    dashboard: str | None


@dataclass(frozen=True, slots=True)
class FrameRow:
    """A released row and the file of its frame: None where that is not kept, or never came.

    `superseded` is 0 or 1, as SQLite has it.
    """

    release: int
    phase: Phase
    phase_step: int
    global_step: int
    epoch: int
    rank: int
    superseded: int
    frame: int | None
    file: str | None


@dataclass(frozen=True, slots=True)
class Appearance:
    """Where a validation tile is to be seen: sample `position` of a step's frame."""

    id: str
    release: int
    phase_step: int
    position: int
    epoch: int
    global_step: int


@dataclass(frozen=True, slots=True)
class DrawnStep:
    """A dashboard's file, and the row that it shows."""

    id: int
    phase: Phase
    number: int
    file: str
    global_step: int | None
    epoch: int | None
    loss: float | None
    ssim: float | None


class KeptSteps:
    """Reads them; each call sees the latest commit. Superseded rows are left out."""

    def __init__(self, connection: sqlite3.Connection, lists: NameLists) -> None:
        self._connection = connection
        self._lists = lists

    def steps(self, after: int = 0) -> list[KeptStep]:
        """Rows beyond release `after` whose frames are kept, in release order."""
        query = (
            "SELECT b.release, b.phase, b.phase_step, b.global_step, b.epoch, b.rank, b.samples, "
            f"b.ssim, d.file {_FROM_ROWS if after else _FROM_FRAMES} "
            "LEFT JOIN dashboards d ON d.phase = b.phase AND d.number = b.phase_step "
            f"{_KEPT} AND b.release > ? ORDER BY b.release"
        )
        return [KeptStep(*found) for found in self._connection.execute(query, (after,))]

    def count(self) -> int:
        """How many rows have their frames."""
        query = f"SELECT count(*) {_FROM_FRAMES} {_KEPT}"
        (count,) = self._connection.execute(query).fetchone()
        return int(count)

    def rows(self, phase: str, number: int) -> list[FrameRow]:
        """Rows of step `number` of `phase`: the one to show first, superseded ones last."""
        query = (
            "SELECT b.release, b.phase, b.phase_step, b.global_step, b.epoch, b.rank, "
            "b.superseded, b.frame, f.file FROM batches b LEFT JOIN frames f ON f.id = b.frame "
            f"WHERE b.phase = ? AND b.phase_step = ? AND b.rank > {RUN} "
            "ORDER BY b.superseded, f.file IS NULL, b.rank, b.release DESC"
        )
        found = self._connection.execute(query, (phase, number))
        return [FrameRow(*row) for row in found]

    def tiles(self, frame: int) -> dict[int, dict[str, float]]:
        """Numbers of a frame's tiles by position; none where it could not be analyzed."""
        query = "SELECT position, name_list, metrics FROM samples WHERE frame = ?"
        found = self._connection.execute(query, (frame,)).fetchall()
        return {position: self._lists.unpack(number, blob) for position, number, blob in found}

    def dashboards(self, after: int = 0) -> list[DrawnStep]:
        """Dashboards with an id beyond `after`, in the order in which they were drawn."""
        query = (
            "SELECT d.id, d.phase, d.number, d.file, b.global_step, b.epoch, b.loss, b.ssim "
            "FROM dashboards d LEFT JOIN batches b ON b.release = d.release "
            "WHERE d.id > ? ORDER BY d.id"
        )
        return [DrawnStep(*found) for found in self._connection.execute(query, (after,))]

    def appearances(self) -> list[Appearance]:
        """Every tile of every kept validation frame, in release order."""
        query = (
            "SELECT json_extract(s.sample, '$.id'), b.release, b.phase_step, s.position, b.epoch, "
            f"b.global_step {_FROM_FRAMES} JOIN samples s ON s.frame = f.id "
            f"{_KEPT} AND f.phase = 'val' ORDER BY b.release, s.position"
        )
        return [Appearance(*found) for found in self._connection.execute(query)]
