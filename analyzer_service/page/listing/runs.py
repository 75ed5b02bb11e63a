"""The list itself: every run of the output folder, where it stands and what was noted of it."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from analyzer_service.page.folders import RunFolders
from analyzer_service.page.listing.fresh import Fresh
from analyzer_service.page.listing.marks import FILE, read_marks
from analyzer_service.page.listing.standing import read_standing
from analyzer_service.pipeline.folder import is_held

_DATABASE: Final = ("metrics.sqlite", "metrics.sqlite-wal")
_SIGNS_OF_LIFE: Final = (*_DATABASE, "health.jsonl")
_QUIET_S: Final = 10.0


class RunList:
    """What ``GET /api/runs`` lists; reads again only what has changed."""

    def __init__(self, folders: RunFolders) -> None:
        self._folders = folders
        self._standing = Fresh(read_standing, _DATABASE)
        self._marks = Fresh(read_marks, [FILE])

    def entries(self) -> list[dict[str, Any]]:
        """A run each, by name; those that were deleted meanwhile are left out."""
        folders = self._folders.all()
        standing = self._standing.of(folders.values())
        marks = self._marks.of(folders.values())
        listed = []
        for name, folder in sorted(folders.items()):
            found = standing[folder]
            if found is None:
                continue
            silent_s = _silent_s(folder) if found.status == "running" else None
            noted = asdict(marks[folder])
            listed.append({"run": name, **asdict(found), "silent_s": silent_s, **noted})
        return listed


def _silent_s(folder: Path) -> float | None:
    """Seconds since an analyzer last wrote anything; None while one is at work.

    An analyzer of this machine holds its folder; one of another writes its health every 2 s.
    """
    heard_at = max(map(_changed_at, (folder / name for name in _SIGNS_OF_LIFE)))
    silent_s = time.time() - heard_at
    return None if silent_s < _QUIET_S or is_held(folder) else silent_s


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
