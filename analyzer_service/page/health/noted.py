"""Lines of `health.jsonl` as they grow: only what is new is read."""

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from analyzer_service.page.folders import inside
from analyzer_service.sinks.health_file import FILE, LARGEST_BYTES, parse_lines

_KEPT_RUNS: Final = 16

Line = dict[str, Any]


@dataclass
class _Followed:
    """A file as far as it was read."""

    inode: int = -1
    offset: int = 0
    lines: list[Line] = field(default_factory=list)


class NotedHealth:
    """What the analyzers of runs noted; remembers the runs that were asked for last."""

    def __init__(self) -> None:
        self._followed: OrderedDict[Path, _Followed] = OrderedDict()
        self._lock = threading.Lock()

    def lines(self, folder: Path) -> list[Line]:
        """Every line so far, oldest first; none where there is no such file."""
        with self._lock:
            file = self._followed.pop(folder, None) or _Followed()
            self._followed[folder] = file
            if len(self._followed) > _KEPT_RUNS:
                self._followed.popitem(last=False)
            try:
                _follow(file, folder)
            except OSError:
                self._followed.pop(folder, None)
                return []
            return list(file.lines)


def _follow(file: _Followed, folder: Path) -> None:
    path = folder / FILE
    if not path.is_file() or not inside(path, folder):
        raise FileNotFoundError(path)
    with path.open("rb") as source:
        found = os.fstat(source.fileno())
        if found.st_ino != file.inode or found.st_size < file.offset:  # it was thinned
            file.inode, file.offset, file.lines = found.st_ino, 0, []
        source.seek(file.offset)
        data = source.read(2 * LARGEST_BYTES)
    whole = data[: data.rfind(b"\n") + 1]
    file.offset += len(whole)
    file.lines += parse_lines(whole)
