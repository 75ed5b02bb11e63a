"""Alerts that are sent: by apprise to a service, and by a stand-in that does as it is told."""

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from analyzer_service.alerts.settings import NotifySettings
from analyzer_service.sinks import notifier as module
from analyzer_service.sinks.notifier import Notifier, check_notify
from shared.errors import ConfigurationError
from tests.analyzer_service.sinks.test_report_alerts import an_alert

pytestmark = pytest.mark.process

APPRISE = """
import json, os, pathlib, time

class Apprise:
    def add(self, url):
        self.url = url
        return not url.startswith("nonsense:")

    def notify(self, title, body):
        print("services print what they like")
        if self.url.startswith("hang:"):
            pathlib.Path(os.environ["SENT"]).with_suffix(".pid").write_text(str(os.getpid()))
            time.sleep(3600)
        if self.url.startswith("raise:"):
            raise RuntimeError(self.url)
        if self.url.startswith("die:"):
            os.write(1, b"42\\n")
            os._exit(3)
        if self.url.startswith("refuse:"):
            return False
        with open(os.environ["SENT"], "a") as file:
            file.write(json.dumps([self.url, title, body]) + "\\n")
        return True
"""


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in writes what it was given."""
    package = tmp_path / "packages"
    package.mkdir()
    (package / "apprise.py").write_text(APPRISE)
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.setenv("SENT", str(tmp_path / "sent.jsonl"))
    return tmp_path / "sent.jsonl"


@pytest.fixture
def start() -> Iterator[Callable[..., Notifier]]:
    started: list[Notifier] = []

    def start_one(*urls: str, timeout_s: float = 60.0) -> Notifier:
        started.append(Notifier(NotifySettings(urls=urls, timeout_s=timeout_s)))
        return started[-1]

    yield start_one
    for each in started:
        each.close(0.0)


def test_every_alert_goes_to_every_address(sent: Path, start: Callable[..., Notifier]) -> None:
    notifier = start("ok://one", "ok://two")
    notifier.tell("demo", an_alert(10))
    notifier.tell("demo", an_alert(12, name="stalled", sentence="It stood still."))
    notifier.close(60.0)
    grows = ["demo: memory growing", f"At step 10. {an_alert().sentence}"]
    stalled = ["demo: trainer stalled", "At step 12. It stood still."]
    assert [json.loads(line) for line in sent.read_text().splitlines()] == [
        [url, *told] for told in (grows, stalled) for url in ("ok://one", "ok://two")
    ]
    assert (notifier.sent, notifier.failed, notifier.dropped) == (2, 0, 0)


@pytest.fixture
def service() -> Iterator[tuple[int, "queue.Queue[dict[str, Any]]"]]:
    """Port of a service on this machine, and what is posted to it."""
    posted: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            posted.put(json.loads(self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, posted
    server.shutdown()
    server.server_close()
    thread.join(10.0)


def test_apprise_itself_reaches_a_service(
    service: tuple[int, "queue.Queue[dict[str, Any]]"], start: Callable[..., Notifier]
) -> None:
    pytest.importorskip("apprise")
    port, posted = service
    notifier = start(f"json://user:secret@127.0.0.1:{port}/alerts", "json://")
    notifier.tell("demo", an_alert(10))
    notifier.close(60.0)
    message = posted.get(timeout=10.0)
    assert message["title"] == "demo: memory growing"
    assert message["message"] == f"At step 10. {an_alert().sentence}"
    assert (notifier.sent, notifier.failed) == (0, 1), "the second address is none"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("refuse://user:secret@host", "refuse (address 1) was not sent"),
        ("nonsense:secret", "nonsense (address 1) is no address that apprise knows"),
        ("raise://secret", "RuntimeError"),
        ("die://secret", "the process that sends ended without an answer"),
    ],
)
def test_what_fails_is_contained_and_said_without_its_address(
    sent: Path,
    start: Callable[..., Notifier],
    caplog: pytest.LogCaptureFixture,
    url: str,
    said: str,
) -> None:
    caplog.set_level(logging.WARNING)
    notifier = start(url)
    notifier.tell("demo", an_alert())
    notifier.close(60.0)
    assert (notifier.sent, notifier.failed) == (0, 1)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"alerts: not sent (1 so far): {said}"
    assert "secret" not in caplog.text


def test_one_that_hangs_is_killed_and_the_next_goes_out(
    sent: Path, start: Callable[..., Notifier], caplog: pytest.LogCaptureFixture
) -> None:
    notifier = start("hang://", timeout_s=2.0)
    begun = time.monotonic()
    notifier.tell("demo", an_alert())
    assert time.monotonic() - begun < 0.5, "whoever tells does not wait"
    notifier.close(60.0)
    assert "it took more than 2 s" in caplog.text
    assert (notifier.sent, notifier.failed) == (0, 1)


def test_at_the_end_nobody_waits_for_one_that_hangs(
    sent: Path, start: Callable[..., Notifier]
) -> None:
    notifier = start("hang://", timeout_s=600.0)
    notifier.tell("demo", an_alert())
    pid_file = sent.with_suffix(".pid")
    until = time.monotonic() + 60.0
    while not (pid_file.exists() and pid_file.read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    begun = time.monotonic()
    notifier.close(0.2)
    assert time.monotonic() - begun < 5.0
    _, alive = psutil.wait_procs(_there(int(pid_file.read_text())), timeout=10)
    assert alive == []


def test_a_flood_is_bounded_and_counted(
    sent: Path, start: Callable[..., Notifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    notifier = start("hang://", timeout_s=600.0)
    for _ in range(10):
        notifier.tell("demo", an_alert())
    assert 6 <= notifier.dropped <= 7, "three wait, one may be at work"


def test_addresses_without_apprise_are_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert check_notify(NotifySettings()) == NotifySettings()
    with pytest.raises(ConfigurationError, match="pip install 'sidelight"):
        check_notify(NotifySettings(urls=("json://localhost",)))


def _there(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid)] if psutil.pid_exists(pid) else []
