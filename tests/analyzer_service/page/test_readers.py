"""Readers that are kept: used again, by one at a time, and never after their run was replaced."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.page.readers import KEPT_S, MOST_KEPT, Readers
from shared.errors import ConfigurationError
from tests.analyzer_service.sinks.runs import RunWriter, write_run


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def readers(clock: Clock) -> Iterator[Readers]:
    kept = Readers(clock)
    yield kept
    kept.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = write_run(tmp_path / "auto_analysis_demo")
    run.close()
    return run.folder


def is_closed(reader: RunReader) -> bool:
    try:
        reader.state()
    except sqlite3.ProgrammingError:
        return True
    return False


def test_a_reader_is_used_again_and_by_one_at_a_time(readers: Readers, folder: Path) -> None:
    first, opened = readers.take(folder)
    second, other = readers.take(folder)
    assert first is not second
    readers.give_back(folder, first, opened)
    readers.give_back(folder, second, other)
    assert {id(readers.take(folder)[0]) for _ in range(2)} == {id(first), id(second)}
    for reader in (first, second):
        reader.close()


def test_it_sees_what_was_committed_since(readers: Readers, folder: Path) -> None:
    reader, opened = readers.take(folder)
    before = reader.state().released
    readers.give_back(folder, reader, opened)
    writer = RunWriter(folder)
    writer.batch(900)
    anew, opened = readers.take(folder)
    assert anew.state().released == before + 1
    readers.give_back(folder, anew, opened)
    writer.batch(901)
    again, _ = readers.take(folder)
    assert again is anew  # beside a writer it goes on
    assert again.state().released == before + 2
    again.close()
    writer.close()


def test_a_run_that_was_replaced_is_opened_anew(readers: Readers, folder: Path) -> None:
    reader, opened = readers.take(folder)
    readers.give_back(folder, reader, opened)
    shutil.rmtree(folder)
    with pytest.raises((ConfigurationError, OSError)):
        readers.take(folder)
    assert is_closed(reader)
    write_run(folder, run_name="another").close()
    anew, _ = readers.take(folder)
    assert anew.started().run_name == "another"
    anew.close()


def test_what_nobody_takes_is_closed(readers: Readers, folder: Path, clock: Clock) -> None:
    old, opened = readers.take(folder)
    fresh, other = readers.take(folder)
    readers.give_back(folder, old, opened)
    clock.now += KEPT_S + 1
    readers.give_back(folder, fresh, other)
    assert is_closed(old)
    assert not is_closed(fresh)
    assert len(readers) == 1


def test_only_so_many_are_kept(readers: Readers, folder: Path) -> None:
    taken = [readers.take(folder) for _ in range(MOST_KEPT + 3)]
    for reader, opened in taken:
        readers.give_back(folder, reader, opened)
    assert len(readers) == MOST_KEPT
    assert sum(is_closed(reader) for reader, _ in taken) == 3
