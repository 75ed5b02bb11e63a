"""Where runs stand, as server-sent events: one watcher a run, however many look at it.

``GET /api/runs/{run}/live`` tells of one run, ``GET /api/live?run=a&run=b`` of several on one
connection (a browser has only six for a host); there each event says which `run` it is of.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import anyio
from sse_starlette import ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.streaming import stream
from analyzer_service.page.watching.watcher import Watcher

MOST_RUNS: Final = 16
_RECONNECT_MS: Final = 1000


class Watchers:
    """The watchers of the runs that anyone looks at; each ends with its last viewer."""

    def __init__(self, folders: RunFolders) -> None:
        self._folders = folders
        self._watching: dict[str, tuple[Watcher, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        """How many runs are watched."""
        return len(self._watching)

    def number(self, run: str) -> int | None:
        """Number of the latest news of a run; None where nobody watches it."""
        watched = self._watching.get(run)
        return watched[0].news.number if watched and watched[0].news else None

    @contextmanager
    def watching(self, run: str, call: Callable[[], None]) -> Iterator[Watcher]:
        """The watcher of `run`, which lives as long as this context; it calls `call` on news."""
        if run not in self._watching:
            watcher = Watcher(self._folders, run)
            self._watching[run] = watcher, asyncio.create_task(watcher.watch())
        watcher, task = self._watching[run]
        watcher.viewers.append(call)
        try:
            yield watcher
        finally:
            watcher.viewers.remove(call)
            if not watcher.viewers:
                del self._watching[run]
                task.cancel()


def routes(watchers: Watchers) -> list[Route]:
    """Routes of the live streams."""

    async def of_one(request: Request) -> Response:
        run = request.path_params["run"]
        return stream(lambda closing: news_of(watchers, [run], named=False, closing=closing))

    async def of_several(request: Request) -> Response:
        runs = list(dict.fromkeys(request.query_params.getlist("run")))
        if not 1 <= len(runs) <= MOST_RUNS:
            raise PageError(400, f"Ask for 1 to {MOST_RUNS} runs: /api/live?run=NAME&run=NAME")
        return stream(lambda closing: news_of(watchers, runs, named=True, closing=closing))

    return [Route("/api/runs/{run}/live", of_one), Route("/api/live", of_several)]


async def news_of(
    watchers: Watchers, runs: Sequence[str], *, named: bool, closing: anyio.Event | None = None
) -> AsyncGenerator[ServerSentEvent, None]:
    """The latest news of each run, at once and whenever there are any, until `closing` is set."""
    woken, closing = asyncio.Event(), closing or anyio.Event()
    with ExitStack() as stack:
        end = asyncio.create_task(closing.wait())
        stack.callback(end.cancel)
        end.add_done_callback(lambda _: woken.set())
        watched = {run: stack.enter_context(watchers.watching(run, woken.set)) for run in runs}
        told = dict.fromkeys(runs, 0)
        while not closing.is_set():
            woken.clear()
            for run, watcher in watched.items():
                news = watcher.news
                if news is not None and news.number > told[run]:
                    told[run] = news.number
                    content = {**news.content, "run": run} if named else news.content
                    yield ServerSentEvent(
                        json.dumps(content), event=news.event, retry=_RECONNECT_MS
                    )
            await woken.wait()
