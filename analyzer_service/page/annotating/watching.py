"""Changes of a reader's marks, as server-sent events, whoever made them: it is the files that tell.

Files are looked at, rather than changes announced: another process of the page, QuPath and an
import write them, too, and not every file system tells of changes.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
from sse_starlette import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from analyzer_service.clinical.matching import CLASSES_FILE
from analyzer_service.page.annotating import durable
from analyzer_service.page.annotating.store import Annotations
from analyzer_service.page.annotating.tiles import Tiles
from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import RunFolders

LOOK_EVERY_S: Final = 0.2
_RECONNECT_MS: Final = 1000


@dataclass
class Watch:
    """What one browser was told of a reader's marks; `look` says what is new.

    Attributes
    ----------
    folders, tiles, annotations
    run, reader : str
    """

    folders: RunFolders
    tiles: Tiles
    annotations: Annotations
    run: str
    reader: str
    _revisions: dict[str, int] = field(default_factory=dict)
    _seen: Any = None

    def look(self) -> list[tuple[str, dict[str, Any]]]:
        """Events since the last look; at the first one of every tile with marks.

        Raises
        ------
        PageError
            If the run is gone.
        """
        run = self.folders.find(self.run)
        listed = self.tiles.listed(run)
        seen = (
            [(name, tile.kept.global_step) for name, tile in listed.items()],
            durable.signature(self.annotations.readers.folder / CLASSES_FILE),
            list(self.annotations.readers.owners()),
        )
        events: list[tuple[str, dict[str, Any]]] = []
        if seen != self._seen:
            events.append(("overview", {}))
            self._seen = seen
        return events + [("marks", change) for change in self._marks(list(listed))]

    def _marks(self, tiles: list[str]) -> list[dict[str, Any]]:
        folder: Path | None = self.annotations.readers.find(self.reader)
        if folder is None:
            return []
        changes = []
        marked = self.annotations.with_files(folder) | self._revisions.keys()
        for tile in (tile for tile in tiles if tile in marked):
            revision = self.annotations.summary(folder, tile).revision
            if revision != self._revisions.get(tile, 0):
                self._revisions[tile] = revision
                changes.append({"tile": tile, "revision": revision})
        return changes


async def events_of(watch: Watch, closing: anyio.Event) -> AsyncGenerator[ServerSentEvent, None]:
    """Events for one browser, until it is gone, the run is, or `closing` is set."""
    while not closing.is_set():
        try:
            found = await run_in_threadpool(watch.look)
        except PageError:
            return  # the browser asks again and is told then
        for event, content in found:
            yield ServerSentEvent(json.dumps(content), event=event, retry=_RECONNECT_MS)
        await asyncio.sleep(LOOK_EVERY_S)
