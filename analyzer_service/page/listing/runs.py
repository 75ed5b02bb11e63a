"""The list itself: every run of the output folder, where it stands and what was noted of it."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from analyzer_service.page.answers import PageError
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

    def entry(self, name: str) -> dict[str, Any]:
        """What the list says of run `name`, read anew.

        Raises
        ------
        PageError
            404, if there is no such run.
        """
        folder = self._folders.find(name)
        found = _standing(folder)
        if found is None:
            raise PageError(404, f"There is no run {name!r} here any more.")
        return _said(name, folder, found, asdict(read_marks(folder)))

    def entries(self) -> list[dict[str, Any]]:
        """A run each, by name; those that were deleted meanwhile are left out."""
        folders = self._folders.all()
        standing = self._standing.of(folders)
        marks = self._marks.of(folders)
        return [
            _said(name, folder, found, marks[name])
            for name, folder in sorted(folders.items())
            if (found := standing[name]) is not None
        ]


def _said(
    name: str, folder: Path, found: Mapping[str, Any], marks: Mapping[str, Any]
) -> dict[str, Any]:
    running = found["status"] == "running"
    quiet_s = silent_s(folder, time.time()) if running else None
    return {"run": name, **found, "silent_s": quiet_s, **marks}


def _standing(folder: Path) -> dict[str, Any] | None:
    found = read_standing(folder)
    return None if found is None else asdict(found)
