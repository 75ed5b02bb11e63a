"""What an error of SQLite at opening means: no use at all, or a disk that may do better later."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
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
from tests.analyzer_service.sinks.runs import RunWriter, write_run


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


AS_NOBODY = """
import os, sys
from pathlib import Path
from analyzer_service.commit.database import open_unchanged
os.setgroups([]), os.setgid(65534), os.setuid(65534)
connection = open_unchanged(Path(sys.argv[1]))
print(connection.execute("SELECT count(*) FROM batches").fetchone()[0])
"""


def as_nobody(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Count the rows of a run as a user who owns nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    for place in folder.parents:
        if place != Path(tempfile.gettempdir()) and place.is_relative_to(tempfile.gettempdir()):
            place.chmod(0o755)
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, folder], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("copied", [("", "-wal", "-shm"), ("", "-wal")], ids=["whole", "no index"])
def test_a_read_only_copy_of_a_run_that_goes_on_is_read_whole(
    tmp_path: Path, copied: tuple[str, ...]
) -> None:
    run = RunWriter(tmp_path / "run")
    for number in range(1, 6):
        run.batch(number)
    copy = tmp_path / "copy"
    copy.mkdir()
    for suffix in copied:
        shutil.copy(f"{run_database(run.folder)}{suffix}", copy)
    run.close()
    copy.chmod(0o555)
    names = sorted(path.name for path in copy.iterdir())
    said = as_nobody(copy)
    assert said.stdout == "5\n", said.stderr
    assert sorted(path.name for path in copy.iterdir()) == names


def test_a_database_that_may_not_be_read_is_no_damaged_one(tmp_path: Path) -> None:
    write_run(tmp_path / "run").close()
    run_database(tmp_path / "run").chmod(0)
    said = as_nobody(tmp_path / "run")
    assert "ConfigurationError" in said.stderr
    assert "may not be read by this user" in said.stderr
