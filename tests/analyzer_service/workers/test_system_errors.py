"""Errors of the disk, as Python and SQLite tell them."""

import errno
import sqlite3
from pathlib import Path

import pytest

from analyzer_service.workers.system_errors import errno_of


def test_a_full_database_is_a_full_disk() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.executescript("CREATE TABLE a (b); CREATE TABLE c (d); CREATE TABLE e (f);")
    connection.close()
    assert errno_of(caught.value) == errno.ENOSPC


def test_a_database_that_cannot_be_opened_is_the_systems_fault(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(tmp_path / "none" / "metrics.sqlite")
    assert errno_of(caught.value) == errno.EIO


def test_a_wrong_query_is_ours() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("SELECT nothing FROM nowhere")
    connection.close()
    assert errno_of(caught.value) is None


def test_an_error_without_a_number_is_the_systems_all_the_same() -> None:
    assert errno_of(OSError("no report today")) == errno.EIO


def test_an_error_while_another_is_handled_is_judged_by_itself() -> None:
    slip = KeyError("a slip of ours")
    slip.__context__ = OSError(errno.ENOSPC, "full")
    assert errno_of(slip) is None
