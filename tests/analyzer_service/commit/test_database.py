"""What an error of SQLite at opening means: no use at all, or a disk that may do better later."""

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from analyzer_service.commit.database import (
    StoreError,
    holds_run,
    open_reader,
    open_writer,
    run_database,
)
from shared.errors import ConfigurationError


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """SQLite cannot write: the kernel refuses every byte, as a disk does that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_nothing_is_an_error_for_now(tmp_path: Path) -> None:
    with no_file_may_grow(), pytest.raises(StoreError, match="cannot be written"):
        open_writer(tmp_path)
    with closing(open_writer(tmp_path)) as connection:
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (0,)


def test_a_run_cannot_be_looked_at_on_such_a_disk_and_can_later(tmp_path: Path) -> None:
    open_writer(tmp_path).close()  # the log and its index are gone with the last connection
    with no_file_may_grow():
        with pytest.raises(StoreError, match="not readable"):
            holds_run(tmp_path)
        with pytest.raises(StoreError, match="not readable"):
            open_reader(tmp_path)
    assert holds_run(tmp_path)
    open_reader(tmp_path).close()


def test_what_is_no_database_stays_refused(tmp_path: Path) -> None:
    run_database(tmp_path).write_bytes(b"no database" * 100)
    for use in (holds_run, open_reader, open_writer):
        with pytest.raises(ConfigurationError):
            use(tmp_path)
