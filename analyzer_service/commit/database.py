"""Connections to a run's `metrics.sqlite`: one that writes, any number that read."""

import os
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Final

from shared.errors import ConfigurationError, SidelightError, SinkError

SCHEMA_NUMBER: Final = 4
READABLE: Final = (3, 4)
"""Schemas of runs that are read as they are; who writes one on makes what it lacks."""
BUSY_TIMEOUT_S: Final = 30.0
LOOK_TIMEOUT_S: Final = 1.0
_BEING_MADE: Final = 0
_RANKS_COUNTED: Final = 3
_NAMED: Final = 5
# SQLite's codes for a disk that takes no more, or fails; the lowest byte of what it says.
_OF_THE_DISK: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class StoreError(SinkError):
    """The disk failed (it is full, say); nothing was written and it can be tried again."""


def run_database(folder: Path) -> Path:
    """Path of the database in a run's folder."""
    return folder / "metrics.sqlite"


def holds_run(folder: Path) -> bool:
    """Tell whether `folder` has a database whose making was not cut short.

    Raises
    ------
    ConfigurationError
        If it is no database, or was made by another version of this schema.
    StoreError
        If the disk does not let it be read now.
    """
    path = run_database(folder)
    if not path.is_file():
        return False
    with closing(_connect_to_read(path)) as connection:
        return _check_schema(connection, folder) in READABLE


def open_writer(folder: Path) -> sqlite3.Connection:
    """Connection that may write, with the tables made; transactions are explicit.

    WAL with synchronous NORMAL: what is committed survives the death of this process at any
    moment, and readers never wait.

    Raises
    ------
    ConfigurationError
        If it cannot be written, or was made by another version of this schema.
    StoreError
        If the disk does not take it now.
    """
    path = run_database(folder)
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, cached_statements=256
        )
        try:
            if _check_schema(connection, folder) == _RANKS_COUNTED:
                _let_ranks_go_uncounted(connection)
            _make_tables(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise _named(error, f"{path} cannot be written") from error
    return connection


def open_reader(folder: Path, *, one_thread: bool = True) -> sqlite3.Connection:
    """Connection that cannot write; safe in any process while the writer works.

    Raises
    ------
    ConfigurationError
        If the folder holds no run, or one of another version of this schema.
    StoreError
        If the disk does not let it be read now.
    """
    return _open_to_read(folder, alone=False, one_thread=one_thread)


def open_unchanged(
    folder: Path, *, one_thread: bool = True, wait_s: float = LOOK_TIMEOUT_S
) -> sqlite3.Connection:
    """Connection that cannot write, and leaves the folder as it is.

    `open_reader` makes the files of the write-ahead log anew where nobody writes; this one then
    reads the database alone. Beside a writer, or after one that was killed, only SQLite's index
    of that log, which is no data, may change. Where that index is gone and may not be made, as in
    a read-only copy of a run that goes on, it is kept in memory. A program that keeps the database
    for itself is waited for `wait_s` seconds, and is then said to: nobody else may have to wait.

    Raises
    ------
    ConfigurationError
        If the folder holds no run, or one of another version of this schema.
    """
    alone = not has_log(folder)
    return _open_to_read(folder, alone=alone, one_thread=one_thread, wait_s=wait_s)


def has_log(folder: Path) -> bool:
    """Whether the write-ahead log holds anything: of a writer at work, or of one that was killed.

    An empty one is left where somebody read the run as its writer ended.
    """
    path = run_database(folder)
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


def has_index(folder: Path) -> bool:
    """Whether SQLite's index of the write-ahead log is there, which all who read it share."""
    path = run_database(folder)
    return path.with_name(f"{path.name}-shm").exists()


def _open_to_read(
    folder: Path, *, alone: bool, one_thread: bool, wait_s: float = BUSY_TIMEOUT_S
) -> sqlite3.Connection:
    path = run_database(folder)
    if not path.is_file():
        raise ConfigurationError(_no_run_in(folder))
    connection = _connect_to_read(path, alone=alone, one_thread=one_thread, wait_s=wait_s)
    try:
        if _check_schema(connection, folder) == _BEING_MADE:
            raise ConfigurationError(f"{folder} holds no run yet: {path.name} is being made")
    except BaseException:
        connection.close()
        raise
    return connection


def _no_run_in(folder: Path) -> str:
    """What is wrong with a folder that holds no run, and which one may have been meant."""
    if not folder.exists():
        return f"{folder} holds no run: there is no such folder"
    if not folder.is_dir():
        return f"{folder} holds no run: it is a file, give the run's folder"
    name = run_database(folder).name
    runs = sorted(path.parent.name for path in folder.glob(f"*/{name}"))
    if not runs:
        return f"{folder} holds no run: there is no {name} in it"
    more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
    return f"{folder} holds no run, but folders that do, give one: {', '.join(runs[:_NAMED])}{more}"


def _connect_to_read(
    path: Path,
    *,
    alone: bool = False,
    one_thread: bool = True,
    wait_s: float = BUSY_TIMEOUT_S,
) -> sqlite3.Connection:
    by_itself = not alone and _index_is_out_of_reach(path.parent)
    more = "&immutable=1" if alone else "&vfs=unix-none" if by_itself else ""
    url = f"{path.absolute().as_uri()}?mode=ro{more}"
    try:
        connection = sqlite3.connect(url, uri=True, timeout=wait_s, check_same_thread=one_thread)
    except sqlite3.Error as error:
        closed = "it may not be read by this user" if not os.access(path, os.R_OK) else str(error)
        raise ConfigurationError(f"{path} is not readable: {closed}") from error
    if by_itself:  # SQLite then makes an index of its own; nobody writes, or there would be one
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


def _index_is_out_of_reach(folder: Path) -> bool:
    """Whether there is a log, and its index neither exists nor can be made."""
    return has_log(folder) and not has_index(folder) and not os.access(folder, os.W_OK)


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    schema = files("analyzer_service.commit").joinpath("schema.sql").read_text("utf-8")
    # The number goes with the tables: a database without it has none of them.
    number = f"PRAGMA user_version = {SCHEMA_NUMBER};"
    connection.executescript(f"BEGIN IMMEDIATE;\n{schema}\n{number}\nCOMMIT;")


def _let_ranks_go_uncounted(connection: sqlite3.Connection) -> None:
    """Let rows be without an ordinal, which schema 3 at first forbade.

    Taking the constraint away leaves the rows as they are, so SQLite's documentation of ALTER TABLE
    has it edited in the schema itself.
    """
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.executescript(
        "BEGIN IMMEDIATE; PRAGMA writable_schema = ON; UPDATE sqlite_master SET "
        "sql = replace(sql, 'ordinal INTEGER NOT NULL', 'ordinal INTEGER') WHERE name = 'batches'; "
        f"PRAGMA schema_version = {version + 1}; PRAGMA writable_schema = OFF; COMMIT;"
    )


def _check_schema(connection: sqlite3.Connection, folder: Path) -> int:
    """Number of the schema, 0 while the tables are not made."""
    try:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise _named(error, f"{run_database(folder)} is not readable") from error
    if number not in (_BEING_MADE, *READABLE):
        raise ConfigurationError(
            f"{run_database(folder)} has schema {number}, this version reads "
            f"{' and '.join(map(str, READABLE))}: "
            "use the version of Sidelight that wrote it"
        )
    return int(number)


def _named(error: sqlite3.Error, what: str) -> SidelightError:
    """What an error of SQLite means: a disk that may do better later, or no use at all."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    kind = StoreError if code in _OF_THE_DISK else ConfigurationError
    return kind(f"{what}: {error}")
