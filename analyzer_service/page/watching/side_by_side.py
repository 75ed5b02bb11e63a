"""``GET /api/compare?run=a&run=b``: how runs' settings differ, and their last values.

A batch's own values are noisy, so the last ones are means over the last rows of each phase. For
differences with intervals there is ``python -m analyzer_service compare``.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analyzer_service.commit.reader import RunReader
from analyzer_service.compare.settings import differing
from analyzer_service.figures.ranges import GUIDE
from analyzer_service.page.answers import PageError, answer
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.watching.started import started
from shared.messages import RunStarted

MOST_RUNS: Final = 8
LAST_ROWS: Final = 64
_SHOWN: Final = {
    "loss": "Loss",
    "mse": "Mean squared error",
    "psnr": "PSNR, dB",
    **{good.key: f"{good.label}, {good.unit}" if good.unit else good.label for good in GUIDE.all},
    "nuclear_attention_auc": "Attention on nuclei, AUC",
    "training_time_ms": "Training step, ms",
    "memory_mb": "Memory, MiB",
}
_PHASES: Final = {"train": "training", "val": "validation"}


@dataclass(frozen=True, slots=True)
class _Side:
    """A run: what it said as it started, where it stands, and its last values by phase."""

    name: str
    started: RunStarted
    status: str
    rows: dict[str, int]
    last: dict[str, dict[str, float]]


def routes(folders: RunFolders) -> list[Route]:
    """The route of the comparison."""

    def compare(request: Request) -> Response:
        names = list(dict.fromkeys(request.query_params.getlist("run")))
        if not 1 <= len(names) <= MOST_RUNS:
            raise PageError(400, f"Ask for 1 to {MOST_RUNS} runs: /api/compare?run=NAME&run=NAME")
        sides = []
        for name in names:
            with folders.open(name) as reader, reader.snapshot():
                sides.append(_side(name, reader))
        return answer(_compared(sides))

    return [Route("/api/compare", compare)]


def _side(name: str, reader: RunReader) -> _Side:
    rollups = {phase: reader.rollups(phase, list(_SHOWN)) for phase in _PHASES}
    last = {}
    for phase, each in rollups.items():
        values = each.read(0, max(0, each.rows - LAST_ROWS), each.rows).means
        last[phase] = {key: _mean(values[:, place]) for place, key in enumerate(each.names)}
    rows = {phase: each.rows for phase, each in rollups.items()}
    return _Side(name, started(name, reader), reader.state().status, rows, last)


def _mean(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else math.nan


def _compared(sides: Sequence[_Side]) -> dict[str, Any]:
    differ, same = differing([side.started for side in sides])
    return {
        "runs": [{"run": side.name, "status": side.status, "rows": side.rows} for side in sides],
        "settings": [{"name": name, "values": values} for name, values in differ.items()],
        "same": same,
        "last_rows": LAST_ROWS,
        "last": [line for phase in _PHASES for line in _last(sides, phase)],
    }


def _last(sides: Sequence[_Side], phase: str) -> Iterator[dict[str, Any]]:
    """Lines of the table of last values; those that no run has are left out."""
    for key, label in _SHOWN.items():
        values = [side.last[phase][key] for side in sides]
        if not all(map(math.isnan, values)):
            yield {"label": f"{label}, {_PHASES[phase]}", "values": values}
