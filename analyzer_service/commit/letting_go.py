"""What a run's folder no longer holds, because its analyzer was asked to keep less."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LetGo:
    """Files that were deleted.

    Attributes
    ----------
    dashboards : mapping
        How many, by phase.
    every : int or None
        Every so manieth dashboard was to be kept.
    frames : int
        How many files of ``frames/`` went beyond its size limit.
    """

    dashboards: Mapping[str, int] = field(default_factory=dict)
    every: int | None = None
    frames: int = 0


def read_let_go(connection: sqlite3.Connection) -> LetGo:
    """As of the latest commit."""
    query = "SELECT phase, count(*) FROM jobs WHERE state = 'removed' GROUP BY phase ORDER BY phase"
    dashboards = dict(connection.execute(query).fetchall())
    query = "SELECT key, value FROM state WHERE key IN ('keep_dashboards', 'frames_removed')"
    said = dict(connection.execute(query).fetchall())
    return LetGo(dashboards, said.get("keep_dashboards"), said.get("frames_removed", 0))
