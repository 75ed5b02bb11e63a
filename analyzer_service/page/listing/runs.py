"""The list itself: every run of the output folder, where it stands and what was noted of it."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from analyzer_service.page.folders import RunFolders
from analyzer_service.page.listing.fresh import Fresh
from analyzer_service.page.listing.marks import FILE, read_marks
from analyzer_service.page.listing.standing import read_standing
from analyzer_service.page.quiet import silent_s

_DATABASE: Final = ("metrics.sqlite", "metrics.sqlite-wal")


class RunList:
    """What ``GET /api/runs`` lists; reads again only what has changed."""

    def __init__(self, folders: RunFolders) -> None:
        self._folders = folders
        self._standing = Fresh(_standing, _DATABASE)
        self._marks = Fresh(lambda folder: asdict(read_marks(folder)), [FILE])

    def entries(self) -> list[dict[str, Any]]:
        """A run each, by name; those that were deleted meanwhile are left out."""
        folders = self._folders.all()
        standing = self._standing.of(folders)
        marks = self._marks.of(folders)
        now, listed = time.time(), []
        for name, folder in sorted(folders.items()):
            found = standing[name]
            if found is None:
                continue
            running = found["status"] == "running"
            quiet_s = silent_s(folder, now) if running else None
            listed.append({"run": name, **found, "silent_s": quiet_s, **marks[name]})
        return listed


def _standing(folder: Path) -> dict[str, Any] | None:
    found = read_standing(folder)
    return None if found is None else asdict(found)
