"""`health.jsonl` in a run's folder: how its analyzer was, a JSON object a line, oldest first.

It is no result: a replay writes none, and no report lists it.
"""

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from analyzer_service.sinks.replacing import replacing_path

FILE: Final = "health.jsonl"
LARGEST_BYTES: Final = 4 << 20
# A pipe in its place would keep its writer waiting, a link lead elsewhere.
_HOW: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
_DIGITS: Final = 20
_TIME: Final = re.compile(rb'\{"at":([0-9.]+),')


class HealthFile:
    """Appends lines; once the file is full, half of them are let go, from all over the run.

    So it holds the whole run, the more finely the shorter it is.

    Parameters
    ----------
    folder : Path
        The run's; it is never made.
    largest_bytes : int
        The file does not grow beyond this.
    """

    def __init__(self, folder: Path, *, largest_bytes: int = LARGEST_BYTES) -> None:
        self._path = folder / FILE
        self._largest = largest_bytes

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line, whose first key is ``at``, its Unix time in seconds.

        Raises
        ------
        OSError, SinkError
            If the disk does not take it; a part of a line may then stand in the file, and is no
            line to its readers.
        """
        data = json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        descriptor = os.open(self._path, _HOW, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size + len(data) <= self._largest:
                _write(descriptor, self._path, size, data)
                return
        finally:
            os.close(descriptor)
        self._thin(data)

    def _thin(self, data: bytes) -> None:
        lines = self._path.read_bytes().splitlines(keepends=True)
        kept = _spread(lines)
        while len(kept) > 1 and sum(map(len, kept)) + len(data) > 3 * self._largest // 4:
            kept = kept[::2]
        with replacing_path(self._path) as temporary:
            temporary.write_bytes(b"".join([*kept, data]))


def _spread(lines: list[bytes]) -> list[bytes]:
    """About half of the lines, at even times from the first one to the last."""
    timed = [(float(found[1]), line) for line in lines if (found := _TIME.match(line))]
    if not timed:
        return []
    apart_s = (timed[-1][0] - timed[0][0]) / max(1, len(timed) // 2)
    kept, last = [], float("-inf")
    for at, line in timed:
        # What is told besides (a beginning, an end) stays.
        if at - last >= apart_s or b'"event":null' not in line:
            kept.append(line)
            last = at
    return kept


def _write(descriptor: int, path: Path, size: int, data: bytes) -> None:
    """Append whole, on a line of its own though one before it was cut off."""
    if size and not _ends_with_newline(path, size):
        data = b"\n" + data
    written = os.write(descriptor, data)
    if written != len(data):
        raise OSError(f"{path}: only {written} of {len(data)} bytes were written")


def _ends_with_newline(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def parse_lines(data: bytes) -> list[dict[str, Any]]:
    """Lines of a piece of the file; what is no line is left out."""
    found = []
    for text in data.splitlines():
        try:
            line = json.loads(text, parse_int=_whole)
        except (ValueError, RecursionError):
            continue
        at = line.get("at") if isinstance(line, dict) else None
        if isinstance(at, int | float) and math.isfinite(at):
            found.append(line)
    return found


def _whole(text: str) -> int | float:
    """A whole number; one that nothing is counted to is infinite, as large fractions are."""
    return int(text) if len(text) <= _DIGITS else float(text)
