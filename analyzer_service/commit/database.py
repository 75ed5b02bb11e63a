"""Connections to a run's `metrics.sqlite`: one that writes, any number that read."""

import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Final

from shared.errors import ConfigurationError

SCHEMA_NUMBER: Final = 1
BUSY_TIMEOUT_S: Final = 30.0


def run_database(folder: Path) -> Path:
    """Path of the database in a run's folder."""
    return folder / "metrics.sqlite"


def open_writer(folder: Path) -> sqlite3.Connection:
    """Connection that may write, with the tables made; transactions are explicit.

    WAL with synchronous NORMAL: what is committed survives the death of this process at any
    moment, and readers never wait.

    Raises
    ------
    ConfigurationError
        If it cannot be written, or was made by another version of this schema.
    """
    path = run_database(folder)
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, cached_statements=256
        )
        try:
            _check_schema(connection, folder)
            _make_tables(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from error
    return connection


def open_reader(folder: Path) -> sqlite3.Connection:
    """Connection that cannot write; safe in any process while the writer works.

    Raises
    ------
    ConfigurationError
        If the folder holds no run, or one of another version of this schema.
    """
    path = run_database(folder)
    if not path.is_file():
        raise ConfigurationError(f"{folder} holds no run: there is no {path.name} in it")
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S
    )
    try:
        _check_schema(connection, folder)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    schema = files("analyzer_service.commit").joinpath("schema.sql").read_text("utf-8")
    connection.executescript(f"BEGIN IMMEDIATE;\n{schema}\nCOMMIT;")
    connection.execute(f"PRAGMA user_version = {SCHEMA_NUMBER}")


def _check_schema(connection: sqlite3.Connection, folder: Path) -> None:
    try:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"{run_database(folder)} is not readable: {error}") from error
    if number not in (0, SCHEMA_NUMBER):
        raise ConfigurationError(
            f"{run_database(folder)} has schema {number}, this version reads {SCHEMA_NUMBER}: "
            "use the version of Sidelight that wrote it"
        )
