"""The write-ahead log beside readers who leave SQLite no moment to begin it anew."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_service.commit.database import open_unchanged, run_database
from analyzer_service.commit.log_size import LogSize
from analyzer_service.commit.store import Store

LIMIT = 1 << 20
BLOCK = 64 << 10


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.log_size = LogSize(store.connection, tmp_path, limit=LIMIT)
    yield store
    store.close()


def write(store: Store, commits: int) -> int:
    """Commit 64 KiB at a time; the most bytes that the log had."""
    log, most = Path(f"{run_database(store.folder)}-wal"), 0
    for _ in range(commits):
        with store.transaction():
            store.put(block=b"x" * BLOCK)
        most = max(most, log.stat().st_size)
    return most


class Viewers:
    """Three who read in turns that overlap: each begins while the one before is still reading."""

    def __init__(self, folder: Path) -> None:
        self.reads, self.errors = 0, 0
        self._folder = folder
        self._stop = threading.Event()
        self._begun = [threading.Event() for _ in range(3)]
        self._threads = [threading.Thread(target=self._read, args=(i,)) for i in range(3)]

    def __enter__(self) -> "Viewers":
        for thread in self._threads:
            thread.start()
        for begun in self._begun:
            assert begun.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for begun in self._begun:
            begun.set()
        for thread in self._threads:
            thread.join()

    def _read(self, number: int) -> None:
        after = self._begun[(number + 1) % 3]
        with_ = open_unchanged(self._folder)
        while not self._stop.is_set():
            try:
                with_.execute("BEGIN")
                with_.execute("SELECT count(*) FROM state").fetchone()
                self._begun[number].set()
                after.wait(0.02)  # till another one reads, too
                after.clear()
                with_.execute("COMMIT")
                self.reads += 1
            except sqlite3.Error:
                self.errors += 1
        with_.close()


def test_viewers_who_never_pause_do_not_let_it_grow(store: Store) -> None:
    write(store, 1)
    with Viewers(store.folder) as viewers:
        most = write(store, 200)  # 12.5 MiB

    assert most < 2 * LIMIT
    assert viewers.reads > 3
    assert viewers.errors == 0


def test_a_reader_who_stays_is_not_waited_for_and_is_named(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    write(store, 1)
    reader = open_unchanged(store.folder)
    reader.execute("BEGIN")
    (before,) = reader.execute("SELECT length(value) FROM state").fetchone()

    most = write(store, 60)
    assert most > 3 * LIMIT
    said = [each for each in caplog.messages if "keeps on reading the run" in each]
    assert len(said) == 1
    assert reader.execute("SELECT length(value) FROM state").fetchone() == (before,)

    reader.execute("COMMIT")
    write(store, 16)
    assert Path(f"{run_database(store.folder)}-wal").stat().st_size < 2 * LIMIT
    reader.close()
    timeout = store.connection.execute("PRAGMA busy_timeout").fetchone()
    assert timeout == (30_000,)
