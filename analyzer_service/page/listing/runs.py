"""The list itself: every run of the output folder, where it stands and what was noted of it."""

import time
from dataclasses import asdict
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
        self._standing = Fresh(read_standing, _DATABASE)
        self._marks = Fresh(read_marks, [FILE])

    def entries(self) -> list[dict[str, Any]]:
        """A run each, by name; those that were deleted meanwhile are left out."""
        folders = self._folders.all()
        standing = self._standing.of(folders.values())
        marks = self._marks.of(folders.values())
        now, listed = time.time(), []
        for name, folder in sorted(folders.items()):
            found = standing[folder]
            if found is None:
                continue
            quiet_s = silent_s(folder, now) if found.status == "running" else None
            noted = asdict(marks[folder])
            listed.append({"run": name, **asdict(found), "silent_s": quiet_s, **noted})
        return listed
