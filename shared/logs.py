"""How log lines look: for people on a terminal, JSON lines for whatever collects them elsewhere."""

import io
import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from shared.errors import ConfigurationError

FORMAT_VARIABLE: Final = "SIDELIGHT_LOG_FORMAT"
LogFormat = Literal["auto", "text", "json"]
TEXT: Final = "%(asctime)s %(levelname)s %(message)s"


class JsonLines(logging.Formatter):
    """A JSON object a line: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``.

    With what was raised, if anything was, as ``error`` and ``traceback``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of `record`."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            said["error"] = f"{record.exc_info[0].__name__}: {record.exc_info[1]}"
            said["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(said, ensure_ascii=False)


def log_to(path: Path | None, asked: str, *, text: str = TEXT, level: int = logging.INFO) -> None:
    """Log to standard error, or to a file.

    Parameters
    ----------
    path : Path or None
    asked : str
        ``text``, ``json``, or ``auto``: JSON unless people read along, on a terminal or in a file
        that they asked for.
    text : str
        Form of a line for people.
    level : int
        Lines below it are left out.

    Raises
    ------
    ConfigurationError
        If the file cannot be written, or no such format is known.
    """
    if asked not in get_args(LogFormat):
        raise ConfigurationError(
            f"--log-format {asked}: choose one of {', '.join(get_args(LogFormat))}"
        )
    try:
        handler = logging.StreamHandler() if path is None else logging.FileHandler(path)
    except OSError as error:
        raise ConfigurationError(f"log file {path} cannot be written: {error}") from error
    for_people = path is not None or sys.stderr.isatty()
    as_json = asked == "json" or (asked == "auto" and not for_people)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter(text))
    logging.basicConfig(level=level, handlers=[handler])
    if logs_json():
        _log_the_rest()


def say(line: str) -> None:
    """Print a line of results: a JSON object, as the log's are, where the log is such lines."""
    print(JsonLines().format(_record("results", line)) if logs_json() else line, flush=True)


def say_error(words: str) -> None:
    """Say why a command ends: as the log does, or in plain text where there is none yet."""
    if logs_json():
        logging.getLogger("error").error("%s", words)
    else:
        print(f"error: {words}", file=sys.stderr)


def logs_json() -> bool:
    """Whether this process writes its log as JSON lines."""
    return any(isinstance(each.formatter, JsonLines) for each in logging.getLogger().handlers)


class LoggedLines(io.TextIOBase):
    """A standard output that logs what is printed, line by line."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._begun = ""

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Log the lines that end in `text`."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(str.strip, lines):
            self._logger.info("%s", line)
        return len(text)


def _log_the_rest() -> None:
    """Warnings, and what nobody caught, are lines of the log like all others."""
    logging.captureWarnings(True)

    def uncaught(*raised: Any) -> None:
        logging.getLogger("error").critical("ended by an error of its own", exc_info=raised)

    def ended_thread(thread: threading.ExceptHookArgs) -> None:
        name = "?" if thread.thread is None else thread.thread.name
        raised: Any = (thread.exc_type, thread.exc_value, thread.exc_traceback)
        logging.getLogger("error").error("thread %s ended by an error", name, exc_info=raised)

    sys.excepthook = uncaught
    threading.excepthook = ended_thread


def _record(name: str, message: str) -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, "", 0, message, None, None)
