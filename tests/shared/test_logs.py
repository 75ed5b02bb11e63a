import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.logs import JsonLines, LoggedLines, log_to


@contextmanager
def root_as_at_start() -> Iterator[None]:
    """The root logger without pytest's handlers, which come back afterwards."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers = before


def record(*, raised: BaseException | None = None) -> logging.LogRecord:
    info = None if raised is None else (type(raised), raised, raised.__traceback__)
    made = logging.LogRecord("a.b", logging.WARNING, "f.py", 1, "%d of “%s”\n", (3, "x"), info)
    made.created = 1_760_000_000.25
    return made


def test_a_line_is_one_json_object() -> None:
    line = JsonLines().format(record())
    assert "\n" not in line
    said = json.loads(line)
    assert datetime.fromisoformat(said.pop("time")) == datetime.fromtimestamp(1_760_000_000.25, UTC)
    assert said == {"level": "WARNING", "logger": "a.b", "message": "3 of “x”\n"}


def test_what_was_raised_is_in_it() -> None:
    try:
        raise ValueError("wrong")
    except ValueError as error:
        said = json.loads(JsonLines().format(record(raised=error)))
    assert said["error"] == "ValueError: wrong"
    assert said["traceback"].startswith("Traceback")


class Terminal:
    """Standard error as a terminal is, or is not."""

    def __init__(self, is_one: bool) -> None:
        self.said = ""
        self._is_one = is_one

    def isatty(self) -> bool:
        return self._is_one

    def write(self, text: str) -> int:
        self.said += text
        return len(text)

    def flush(self) -> None: ...


@pytest.mark.parametrize(
    ("asked", "terminal", "as_json"),
    [("auto", True, False), ("auto", False, True), ("text", False, False), ("json", True, True)],
)
def test_json_is_for_where_nobody_reads_along(
    monkeypatch: pytest.MonkeyPatch, asked: str, terminal: bool, as_json: bool
) -> None:
    stream = Terminal(terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    with root_as_at_start():
        log_to(None, asked)
        logging.getLogger("a").warning("hello")
    assert stream.said.startswith("{") == as_json
    assert "hello" in stream.said


def test_a_file_that_was_asked_for_is_for_people(tmp_path: Path) -> None:
    with root_as_at_start():
        log_to(tmp_path / "log", "auto")
        logging.getLogger("a").warning("hello")
    assert (tmp_path / "log").read_text().endswith("WARNING hello\n")


def test_other_formats_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="choose one of auto, text, json"):
        log_to(None, "xml")


SERVICE = """
import sys, threading, warnings
from shared.logs import log_to, say, say_error
say_error("before") if sys.argv[1] == "early" else log_to(None, "auto")
warnings.warn("odd", RuntimeWarning)
thread = threading.Thread(target=lambda: 1 / 0, name="side")
thread.start()
thread.join()
say("Run folder  there")
say_error("wrong flag")
raise ValueError("not caught")
"""


def test_every_line_is_one_object_whoever_says_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, "service"], capture_output=True, text=True, check=False
    )
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(each["level"], each["logger"]) for each in said] == [
        ("WARNING", "py.warnings"),
        ("ERROR", "error"),
        ("ERROR", "error"),
        ("CRITICAL", "error"),
    ]
    assert "RuntimeWarning: odd" in said[0]["message"]
    assert said[1]["message"] == "thread side ended by an error"
    assert said[1]["error"] == "ZeroDivisionError: division by zero"
    assert said[2]["message"] == "wrong flag"
    assert said[3]["error"] == "ValueError: not caught"
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["message"] == "Run folder  there"
    assert json.loads(line)["logger"] == "results"


def test_before_there_is_a_log_errors_are_for_people() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, "early"], capture_output=True, text=True, check=False
    )
    assert done.stderr.startswith("error: before\n")
    assert done.stdout == "Run folder  there\n"


def test_what_is_printed_is_logged_line_by_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lines = LoggedLines("printed")
    print("a", "b", file=lines)
    print("\n\nc\nd", end="", file=lines)
    print("e", file=lines)
    assert [record.message for record in caplog.records] == ["a b", "c", "de"]
