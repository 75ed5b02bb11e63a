"""Sends alerts to the services that apprise reaches, and never delays anyone.

A thread of its own starts a process for each message and kills it when it takes too long.
"""

import json
import logging
import queue
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from typing import Final

from analyzer_service.alerts.settings import NotifySettings
from analyzer_service.commit.views import AlertRecord
from analyzer_service.sinks.children import child_environment
from shared.errors import ConfigurationError, SinkError

logger = logging.getLogger(__name__)

MOST_WAITING: Final = 100
_COMMAND: Final = (sys.executable, "-P", "-m", "analyzer_service.sinks.notifier_child")


def check_notify(settings: NotifySettings) -> NotifySettings:
    """`settings`, if what they need is installed; raises `ConfigurationError` if not."""
    if settings.urls and find_spec("apprise") is None:
        raise ConfigurationError(
            "[notify] has urls, which apprise would send to, and apprise is not installed: "
            "pip install 'sidelight[notify]', or leave urls empty"
        )
    return settings


class Notifier:
    """Sends alerts one after the other; `MOST_WAITING` may wait, further ones are dropped.

    Attributes
    ----------
    sent, failed, dropped : int
        Messages so far.
    """

    def __init__(self, settings: NotifySettings) -> None:
        self.sent = self.failed = self.dropped = 0
        self._settings = settings
        self._closing = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._waiting: queue.Queue[tuple[str, str] | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
        self._thread.start()

    def tell(self, run_name: str, alert: AlertRecord) -> None:
        """Have an alert sent; returns at once."""
        message = f"{run_name}: {alert.title}", f"At step {alert.step:,}. {alert.sentence}"
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self.dropped += 1

    def close(self, timeout_s: float) -> None:
        """Send what waits, in `timeout_s` at most; what is at work then is killed."""
        until = time.monotonic() + timeout_s
        try:
            self._waiting.put(None, timeout=timeout_s)
        except queue.Full:
            self._closing.set()
        self._thread.join(max(0.0, until - time.monotonic()))
        self._closing.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            self._thread.join(1.0)
        left = self._waiting.qsize() + self.dropped
        if left:
            logger.warning("alerts: %d were not sent any more", left)

    def _work(self) -> None:
        while not self._closing.is_set():
            message = self._waiting.get()
            if message is None:
                return
            try:
                self._send(*message)
                self.sent += 1
            except (SinkError, OSError) as error:
                self.failed += 1
                if self.failed.bit_count() == 1:  # the first, second, fourth, eighth …
                    logger.warning("alerts: not sent (%d so far): %s", self.failed, error)

    def _send(self, title: str, body: str) -> None:
        request = json.dumps({"urls": self._settings.urls, "title": title, "body": body})
        with subprocess.Popen(
            _COMMAND,
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        ) as process:
            self._process = process
            try:
                said, _ = process.communicate(request, timeout=self._settings.timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise SinkError(f"it took more than {self._settings.timeout_s:g} s") from None
        failed = _answer(said)
        if failed:
            raise SinkError(", ".join(failed))


def _answer(said: str) -> list[str]:
    """Failures, of the last line that was printed; services print what they like before it."""
    try:
        failed = json.loads(said.splitlines()[-1])
    except (IndexError, ValueError):
        failed = None
    if not isinstance(failed, list):  # the last word of a service, say
        return ["the process that sends ended without an answer"]
    return [str(part) for part in failed]
