"""Keeps the write-ahead log of a run's database from growing while others read the run.

SQLite begins the log anew once all of it is in the database and nobody reads from it. Viewers who
read one after another without a pause never leave it that moment, so past `LIMIT` the writer asks
for it: it holds on, and who begins to read meanwhile reads the database itself.
"""

import logging
import sqlite3
from pathlib import Path
from typing import Final

from analyzer_service.commit.database import BUSY_TIMEOUT_S, run_database

logger = logging.getLogger(__name__)

LIMIT: Final = 32 << 20
WAIT_S: Final = 0.25
"""How long the writer holds on at most; readers of the page are done sooner."""
_LOOK_EVERY: Final = 8


class LogSize:
    """Looks after the log of the database in `folder`, which `connection` writes.

    A reader who stays longer than `WAIT_S` is not waited for: the log grows on, this is said once,
    and it is tried again each time that the log has grown by another quarter of `limit` bytes.
    """

    def __init__(
        self, connection: sqlite3.Connection, folder: Path, *, limit: int | None = None
    ) -> None:
        path = run_database(folder)
        self._connection = connection
        self._log = path.with_name(f"{path.name}-wal")
        self._limit = LIMIT if limit is None else limit
        self._next = self._limit
        self._commits = 0
        self._said = False

    def committed(self) -> None:
        """Look at the log, after a transaction."""
        self._commits += 1
        if self._commits % _LOOK_EVERY == 0 and (size := self._size()) > self._next:
            self._shorten(size)

    def _shorten(self, size: int) -> None:
        if self._checkpoint():
            self._next = self._limit
            return
        self._next = size + self._limit // 4
        if not self._said:
            logger.warning(
                "%s has %.0f MiB and grows while somebody keeps on reading the run in one go",
                self._log,
                size / (1 << 20),
            )
        self._said = True

    def _checkpoint(self) -> bool:
        """Put all of it into the database and empty it; False where somebody reads it too long."""
        try:
            self._connection.execute(f"PRAGMA busy_timeout = {WAIT_S * 1000:.0f}")
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:  # a full disk, say; the next commit meets it, too
            return False
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
        return not busy

    def _size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0
