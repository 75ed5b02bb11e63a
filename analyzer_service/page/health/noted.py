"""Lines of `health.jsonl` as they grow: only what is new is read, whoever asks."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.page.folders import open_regular
from analyzer_service.page.health.history import history, rows_of
from analyzer_service.sinks.health_file import FILE, LARGEST_BYTES, parse_lines

_KEPT_RUNS: Final = 16
_REMEMBERED_BYTES: Final = 256

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Noted:
    """The last line, and the numbers of all of them over time, as `history` makes them."""

    last: Line | None
    over_time: Mapping[str, NDArray[np.float64]]


NOTHING: Final = Noted(None, history(rows_of(())))


@dataclass
class _Followed:
    """A file as far as it was read: of each line only its numbers are kept."""

    last: bytes = b""
    offset: int = 0
    rows: NDArray[np.float64] = field(default_factory=lambda: rows_of(()))
    noted: Noted = NOTHING


class NotedHealth:
    """What the analyzers of runs noted; remembers the runs that were asked for last."""

    def __init__(self) -> None:
        self._followed: OrderedDict[Path, _Followed] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, folder: Path) -> Noted:
        """What was noted in a run's folder; nothing where there is no such file."""
        with self._lock:
            file = self._followed.pop(folder, None) or _Followed()
            self._followed[folder] = file
            if len(self._followed) > _KEPT_RUNS:
                self._followed.popitem(last=False)
            try:
                _follow(file, folder)
            except OSError:
                self._followed.pop(folder, None)
                return NOTHING
            return file.noted


def _follow(file: _Followed, folder: Path) -> None:
    with open_regular(folder / FILE, folder) as source:
        # It was thinned, or is another run's; that one often gets the inode of the old one.
        source.seek(file.offset - len(file.last))
        if source.read(len(file.last)) != file.last:
            file.last, file.offset, file.rows, file.noted = b"", 0, rows_of(()), NOTHING
            source.seek(0)
        data = source.read(2 * LARGEST_BYTES)
    whole = data[: data.rfind(b"\n") + 1]
    file.offset += len(whole)
    file.last = whole[-_REMEMBERED_BYTES:] or file.last
    if lines := parse_lines(whole):
        file.rows = np.concatenate([file.rows, rows_of(lines)])
        file.noted = Noted(lines[-1], history(file.rows))
