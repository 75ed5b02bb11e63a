"""Where a run stands, in numbers that cost microseconds however long it is.

The live page asks with every commit, so nothing here reads a table from end to end: the number of
rows of a phase is its highest ordinal, the rest is counted where it is few.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from analyzer_service.commit.views import Status

_QUERY: Final = """
SELECT
    (SELECT value FROM state WHERE key = 'status'),
    (SELECT max(release) FROM batches),
    (SELECT max(ordinal) FROM batches WHERE phase = 'train' AND superseded = 0),
    (SELECT max(ordinal) FROM batches WHERE phase = 'val' AND superseded = 0),
    (SELECT count(*) FROM epochs WHERE superseded = 0),
    (SELECT max(id) FROM dashboards),
    (SELECT max(id) FROM alerts),
    (SELECT count(*) FROM alerts WHERE cleared_release IS NULL),
    (SELECT count(*) FROM frames WHERE file IS NOT NULL)
"""

_LET_GO: Final = "SELECT count(*) FROM jobs WHERE state = 'removed'"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands as of one commit.

    Attributes
    ----------
    released : int
        Number of the last released row, superseded or not; 0 before the first.
    train, val : int
        Rows of each phase, superseded ones left out.
    epochs, dashboards, alerts : int
        How many ended, were drawn, and fired.
    alerts_active : int
        Alerts that go on.
    frames : int
        Frames whose images are kept.
    """

    status: Status
    released: int
    train: int
    val: int
    epochs: int
    dashboards: int
    alerts: int
    alerts_active: int
    frames: int


class Standings:
    """Reads where the run of a connection stands; remembers counts of what only grows.

    Dashboards and alerts are numbered as they come and taken back from the end, so their count
    is the same as long as the highest number is.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._counts: dict[str, tuple[int | None, int]] = {}

    def read(self) -> Standing:
        """The latest commit's."""
        self._connection.execute("BEGIN")
        try:
            found = self._connection.execute(_QUERY).fetchone()
            status, released, train, val, epochs, dashboard, alert, active, frames = found
            return Standing(
                status=status or "running",
                released=released or 0,
                train=train or 0,
                val=val or 0,
                epochs=epochs,
                dashboards=self._count("dashboards", dashboard),
                alerts=self._count("alerts", alert),
                alerts_active=active,
                frames=frames,
            )
        finally:
            self._connection.rollback()

    def _count(self, table: str, highest: int | None) -> int:
        known, count = self._counts.get(table, (-1, 0))
        if known != highest:
            query = f"SELECT count(*) FROM {table}"
            if table == "dashboards":  # one that takes another's place is news, too
                query = f"SELECT ({query}) + ({_LET_GO})"
            (count,) = self._connection.execute(query).fetchone()
            self._counts[table] = highest, count
        return count
