"""What charts draw: any part of a run's numbers in about as many points as a chart has pixels.

Points are the buckets of rows that were made as the rows were committed (`commit/rollups.py`):
means, and the least and largest value of a row. They are of the same rows for all metrics and
layers, so that one cursor reads them all; they show every outlier, exactly; and more rows only add
to their end, so a browser that follows a run asks for that end alone. A choice of rows that
depends on their values (LTTB, min-max) has none of this, and would read all rows for each view.

``GET /api/runs/{run}/series?phase=train&name=loss&from=STEP&to=STEP&points=1000`` picks the finest
level of buckets that fits into `points`. ``&level=L&after=BUCKET`` asks for the buckets of level L
beyond number BUCKET.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analyzer_service.alerts.good_ranges import good_ranges
from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.rollup_views import RollupReader, lowest_level
from analyzer_service.page.answers import PageError, answer, arrays
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.watching.catalog import catalog
from analyzer_service.page.watching.live import Watchers
from analyzer_service.page.watching.started import started

PHASES: Final = ("train", "val")
MOST_POINTS: Final = 20_000
MOST_NAMES: Final = 512
MOST_VALUES: Final = 1 << 20
_HIGHEST_LEVEL: Final = 40
_KEPT: Final = 64
_KEPT_BYTES: Final = 32 << 20
_STEP: Final = "global_step"
Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a browser asks for.

    Attributes
    ----------
    first, last : float
        Global steps between which it looks, both included; infinite where it looks at all.
    level, after : int or None
        The level that it has, and the last bucket that it need not be told again.
    """

    phase: str
    names: tuple[str, ...]
    first: float
    last: float
    points: int
    level: int | None
    after: int

    @classmethod
    def of(cls, query: QueryParams) -> Self:
        """What the query of a URL says.

        Raises
        ------
        PageError
            400, if it says something else.
        """
        phase, names = query.get("phase", "train"), tuple(dict.fromkeys(query.getlist("name")))
        if phase not in PHASES:
            raise PageError(400, "phase must be train or val")
        if not 1 <= len(names) <= MOST_NAMES:
            raise PageError(400, f"Ask for 1 to {MOST_NAMES} metrics: name=NAME&name=NAME")
        points = _number(query, "points", 1000, low=1, high=MOST_POINTS)
        if points * len(names) > MOST_VALUES:
            raise PageError(400, "Ask for fewer metrics or points at a time")
        level = _number(query, "level", -1, low=-1, high=_HIGHEST_LEVEL)
        return cls(
            phase=phase,
            names=names,
            first=_number(query, "from", -np.inf),
            last=_number(query, "to", np.inf),
            points=int(points),
            level=None if level < 0 else int(level),
            after=int(_number(query, "after", -1, low=-1, high=2**53)),
        )


class Series:
    """Answers what charts ask; viewers who ask the same of the same commit share one answer."""

    def __init__(self, folders: RunFolders, watchers: Watchers) -> None:
        self._folders = folders
        self._watchers = watchers
        self._kept: OrderedDict[Key, asyncio.Future[bytes]] = OrderedDict()
        self._bytes = 0

    async def answer(self, request: Request) -> Response:
        """Points of the metrics that a request names."""
        run, asked = request.path_params["run"], Asked.of(request.query_params)
        number = self._watchers.number(run)
        if number is None:
            body = await run_in_threadpool(self._read, run, asked)
        else:
            body = await self._shared((run, number, str(request.query_params)), asked)
        # Numbers of a float's precision hardly get smaller, and that takes longer than sending.
        headers = {"Content-Encoding": "identity"}
        return Response(body, media_type="application/octet-stream", headers=headers)

    async def _shared(self, key: Key, asked: Asked) -> bytes:
        found = self._kept.get(key)
        if found is None:
            found = asyncio.ensure_future(run_in_threadpool(self._read, key[0], asked))
            self._kept[key] = found
            found.add_done_callback(lambda done: self._tidy(key, done))
        return await asyncio.shield(found)

    def _tidy(self, key: Key, done: asyncio.Future[bytes]) -> None:
        """Forget an answer that failed, and the oldest ones beyond what may be kept."""
        if self._kept.get(key) is not done:
            return
        if done.cancelled() or done.exception() is not None:
            del self._kept[key]
            return
        self._bytes += len(done.result())
        while self._bytes > _KEPT_BYTES or len(self._kept) > _KEPT:
            _, oldest = self._kept.popitem(last=False)
            if oldest.done() and not oldest.cancelled() and oldest.exception() is None:
                self._bytes -= len(oldest.result())

    def _read(self, run: str, asked: Asked) -> bytes:
        with self._folders.open(run) as reader, reader.snapshot():
            return bytes(_points(reader, asked).body)


def routes(folders: RunFolders, watchers: Watchers) -> list[Route]:
    """Routes of the numbers behind charts."""
    series = Series(folders, watchers)

    def metrics(request: Request) -> Response:
        run = request.path_params["run"]
        with folders.open(run) as reader, reader.snapshot():
            return answer(_metrics(run, reader))

    return [
        Route("/api/runs/{run}/series", series.answer),
        Route("/api/runs/{run}/metrics", metrics),
    ]


def _metrics(run: str, reader: RunReader) -> dict[str, Any]:
    rollups = {phase: reader.rollups(phase, []) for phase in PHASES}
    names = {phase: each.available() for phase, each in rollups.items()}
    ranges = good_ranges(reader.alert_settings().ranges)
    return catalog(started(run, reader), names, ranges) | {
        "rows": {phase: each.rows for phase, each in rollups.items()},
        "names": names,
    }


def _points(reader: RunReader, asked: Asked) -> Response:
    rollups = reader.rollups(asked.phase, [_STEP, *asked.names])
    level, first, last = _view(rollups, asked)
    found = rollups.read(level, first, last)
    facts = {
        "phase": asked.phase,
        "rows": rollups.rows,
        "starts": rollups.starts(),
        "steps": rollups.steps(),
        "level": level,
        "first_bucket": first,
        "exact": level == 0,
    }
    # A bucket that holds the end of one validation and the beginning of the next is shown at the
    # next: between them nothing was validated.
    steps = found.highs if asked.phase == "val" else found.means
    columns: dict[str, NDArray[np.float64]] = {"x": steps[:, 0]}
    for place, name in enumerate(rollups.names):
        if name in asked.names:
            columns[name] = found.means[:, place]
            if level > 0:
                columns[f"{name}:low"] = found.lows[:, place]
                columns[f"{name}:high"] = found.highs[:, place]
    return arrays(facts, columns)


def _view(rollups: RollupReader, asked: Asked) -> tuple[int, int, int]:
    """Level, first bucket, and the one after the last; one more on both sides of a view.

    So lines go on to the edges of a chart.
    """
    first = 0 if asked.first == -np.inf else rollups.before(asked.first)
    last = (
        rollups.rows if asked.last == np.inf else rollups.before(np.nextafter(asked.last, np.inf))
    )
    level = lowest_level(max(last - first, 1), asked.points) if asked.level is None else asked.level
    begin = max((first >> level) - (asked.first > -np.inf), asked.after + 1, 0)
    end = min(-(-last >> level) + 1, begin + 2 * max(asked.points, 1) + 2)
    return level, begin, max(begin, end)


def _number(
    query: Mapping[str, str],
    name: str,
    otherwise: float,
    *,
    low: float = -np.inf,
    high: float = np.inf,
) -> float:
    try:
        value = float(query.get(name, otherwise))
    except ValueError:
        value = np.nan
    if not low <= value <= high:
        raise PageError(400, f"{name} must be a number from {low:g} to {high:g}")
    return value
