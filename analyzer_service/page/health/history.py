"""Numbers of health over time, few enough to be drawn."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

POINTS: Final = 600
_SILENCE_S: Final = 20.0
_PARTS_OF_SILENCE: Final = 8

Line = Mapping[str, Any]

_LARGEST: Final[Mapping[str, Callable[[Line], Any]]] = {
    "ingest_lag_s": lambda line: line.get("ingest_lag_s"),
    "work_lag_s": lambda line: line.get("work_lag_s"),
    "frames_waiting": lambda line: line.get("frames_waiting"),
    "waiting_bytes": lambda line: line.get("waiting_bytes"),
    "trainer_waiting_bytes": lambda line: line.get("trainer_waiting_bytes"),
    "records_uncommitted": lambda line: line.get("records_uncommitted"),
    "rss_bytes": lambda line: line.get("rss_bytes"),
    "children_rss_bytes": lambda line: line.get("children_rss_bytes"),
}
_DROPPED: Final = "dropped"


def history(lines: Sequence[Line], *, points: int = POINTS) -> dict[str, NDArray[np.float64]]:
    """Columns by name, ``at`` among them, over at most `points` equal parts of the time.

    Of a gauge each part has its largest value, as a peak is what matters; of the dropped frames,
    which are counted up, the last. A part that nothing was noted in is left out; where the
    analyzer was silent or away there is one row of NaN.
    """
    lines = sorted(lines, key=lambda line: line["at"])
    columns: dict[str, list[float]] = {name: [] for name in ("at", *_LARGEST, _DROPPED)}
    if not lines:
        return {name: np.array(values) for name, values in columns.items()}
    begin = lines[0]["at"]
    # Rows of NaN need room, too: at most one for each silence, of which the file tells few.
    width = max((lines[-1]["at"] - begin) / (points * (1 - 1 / _PARTS_OF_SILENCE)), 1e-9)
    before: Line | None = None
    silences = 0
    for part in _parts(lines, begin, width):
        silent = before is not None and part[0]["at"] - before["at"] > max(_SILENCE_S, 3 * width)
        if before is not None and silent and silences < points // _PARTS_OF_SILENCE - 2:
            silences += 1
            _add(columns, (before["at"] + part[0]["at"]) / 2, [])
        _add(columns, part[-1]["at"], part)
        before = part[-1]
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def _parts(lines: Sequence[Line], begin: float, width: float) -> list[list[Line]]:
    parts: dict[int, list[Line]] = {}
    for line in lines:
        parts.setdefault(int((line["at"] - begin) / width), []).append(line)
    return list(parts.values())


def _add(columns: dict[str, list[float]], at: float, part: Sequence[Line]) -> None:
    columns["at"].append(at)
    for name, value_of in _LARGEST.items():
        values = [number for line in part if (number := _number(value_of(line))) is not None]
        columns[name].append(max(values, default=math.nan))
    last = _number(part[-1].get(_DROPPED)) if part else None
    columns[_DROPPED].append(math.nan if last is None else last)


def _number(value: Any) -> float | None:
    """The value if it is one that can be drawn: a file may hold anything."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
