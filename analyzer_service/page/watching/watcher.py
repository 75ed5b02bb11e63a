"""One run, watched for all who look at it: SQLite is asked whether anything was committed.

``PRAGMA data_version`` takes microseconds and tells a connection whether another one committed, so
the writer needs to know nothing of the page. News come at once after a pause, and at most every
`REST_S` seconds while rows come faster: what they cost is what viewers do on them. A viewer that is
slow gets the latest state when it is ready for it, never a queue of old ones.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from analyzer_service.commit.database import open_unchanged
from analyzer_service.commit.standing import Standing, Standings
from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import RunFolders, closed
from analyzer_service.page.opened import Opened
from shared.errors import SidelightError

logger = logging.getLogger(__name__)

LOOK_S: Final = 0.02
REST_S: Final = 0.15
IDLE_LOOK_S: Final = 0.1
_IDLE_AFTER_S: Final = 10.0
_RETRY_S: Final = 1.0
_FILES_S: Final = 0.25
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class News:
    """An event for browsers: its name and its content.

    `number` grows from one to the next and is never used again, by another watcher either.
    """

    number: int
    event: str
    content: Mapping[str, Any]


class Replaced(Exception):
    """The files that were opened are no longer what the folder holds: open anew."""


class Watcher:
    """Looks at run `run` as long as its task lives, and calls every viewer on news.

    Attributes
    ----------
    news : News or None
        The latest; None until the run was looked at for the first time.
    viewers : list of callables
        Called, without arguments, whenever `news` changed.
    """

    def __init__(self, folders: RunFolders, run: str) -> None:
        self.news: News | None = None
        self.viewers: list[Callable[[], None]] = []
        self._folders = folders
        self._run = run
        self._told: tuple[str, Mapping[str, Any]] | None = None

    async def watch(self) -> None:
        """Follow the run until cancelled, through its end, its loss and its return."""
        while True:
            try:
                await self._follow(self._folders.find(self._run))
            except Replaced:
                continue
            except PageError as error:
                self._tell("gone", {"error": error.sentence})
            except SidelightError as error:
                self._tell("gone", {"error": f"This run cannot be read: {error}"})
            except PermissionError:
                self._tell("gone", {"error": closed(self._folders.find(self._run))})
            except (sqlite3.Error, OSError) as error:
                self._tell("gone", {"error": f"This run cannot be read now: {error}"})
            except Exception as error:  # viewers of other runs, and the next try, are not concerned
                logger.exception("run %s cannot be watched", self._run)
                self._tell("gone", {"error": f"The page failed ({type(error).__name__})."})
            await asyncio.sleep(_RETRY_S)

    async def _follow(self, folder: Path) -> None:
        """Tell of each commit until the database is another one.

        Raises
        ------
        Replaced
            Once it is.
        SidelightError, sqlite3.Error, OSError
            If it cannot be read.
        """
        opened = Opened.of(folder)
        with closing(open_unchanged(folder, wait_s=0)) as connection:
            standings, version = Standings(connection), -1
            changed_at = checked_at = time.monotonic()
            while True:
                now = time.monotonic()
                if now - checked_at >= _FILES_S or opened.alone:
                    _check(opened, folder)
                    checked_at = now
                found, pause = _version(connection), LOOK_S
                if found != version:
                    self._tell_standing(standings.read())
                    version, changed_at, pause = found, now, REST_S
                elif now - changed_at > _IDLE_AFTER_S:
                    pause = IDLE_LOOK_S
                await asyncio.sleep(pause)

    def _tell_standing(self, at: Standing) -> None:
        """Tell where the run stands, if that changed: a commit may be of nothing that shows."""
        state = {
            "status": at.status,
            "released": at.released,
            "rows": {"train": at.train, "val": at.val},
            "epochs": at.epochs,
            "dashboards": at.dashboards,
            "alerts": at.alerts,
            "alerts_active": at.alerts_active,
            "frames": at.frames,
        }
        self._tell("state", state, seen_at=time.time())

    def _tell(self, event: str, content: Mapping[str, Any], **more: float) -> None:
        """Make it the latest news and call the viewers; what was told last is not told again."""
        if (event, content) == self._told:
            return
        self._told = event, content
        self.news = News(next(_numbers), event, {**content, **more})
        for call in list(self.viewers):
            call()


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _check(opened: Opened, folder: Path) -> None:
    if not opened.holds(folder):
        raise Replaced
