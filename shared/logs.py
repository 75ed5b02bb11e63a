"""How log lines look: for people on a terminal, JSON lines for whatever collects them elsewhere."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from shared.errors import ConfigurationError

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
