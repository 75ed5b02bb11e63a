"""Logging one run through child processes that may hang or die: start, retry, give up."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from analyzer_service.sinks.wandb_feed import Position
from analyzer_service.sinks.wandb_link import Link
from analyzer_service.sinks.wandb_outcome import Mode
from analyzer_service.sinks.wandb_run import FLUSH_INTERVAL_S
from shared.errors import SinkError

START_TIMEOUT_S: Final = 30.0
INIT_TIMEOUT_S: Final = 20.0
ANSWER_TIMEOUT_S: Final = 30.0
MAX_RESTARTS: Final = 2
RETRY_AFTER_S: Final = 300.0
# A process that has worked so long ends the row of failures before it.
_STEADY_S: Final = 60.0
# W&B names a folder by the second: two starts within one would share it.
_START_GAP_S: Final = 2.0
_ON_DISK_AFTER_S: Final = 3 * FLUSH_INTERVAL_S
# W&B's own process ends 2 s after the child, and has flushed by then.
_LAST_WORDS_S: Final = 2.5
_SHORT_S: Final = 0.5
POSITION_NAME: Final = "sidelight_position.json"

Deadline = Callable[[float, float], Callable[[], float]]
"""Makes the `until` of a request from its own time limit and its share of the end's limit."""

_log = logging.getLogger(__name__)


class Session:
    """W&B for one run, used by one thread.

    Starts a child when one is needed, and again after it failed. After `MAX_RESTARTS` in a row it
    is given up, and tried again every `RETRY_AFTER_S` and once at the end: rows wait in the
    database. An online start that fails, and the last start of a row, go offline. Rows that
    W&B's own process held in memory when it died are logged once more: none is missing, a few
    come twice.
    """

    def __init__(self, folder: Path, mode: Mode, project: str, *, deadline: Deadline) -> None:
        self.mode: Mode = mode
        self.position = Position.load(folder / "wandb" / POSITION_NAME)
        self.url: str | None = None
        self.note: str | None = None
        self.complete = False
        self.link: Link | None = None
        self._folder = folder
        self._project = project
        self._deadline = deadline
        self._failures = 0
        self._again_at = float("-inf")
        self._started_at = float("-inf")
        self._reached: deque[tuple[float, Position]] = deque([(-math.inf, self.position)])

    @property
    def given_up(self) -> bool:
        """Tell whether nothing is logged now: no start is left for the time being, or no time."""
        now = time.monotonic()
        if now >= self._deadline(math.inf, 1.0)():
            return True
        return self.link is None and self._failures > MAX_RESTARTS and now < self._again_at

    def catch_up(self) -> None:
        """Log everything that was committed; returns early once given up."""
        more = True
        while more and not self.given_up:
            try:
                more = self._advance(self._running())
            except SinkError as error:
                self._failed(str(error))

    def finish(self) -> None:
        """Log the rest, set the summary, close the run.

        Closing is tried once: when it fails, what was logged is on disk all the same.
        """
        self._again_at = -math.inf
        self.catch_up()
        if self.link is not None and not self.given_up:
            self._close_run(self.link)

    def close(self, grace_s: float) -> None:
        """End the child, by force where it does not end by itself within `grace_s`."""
        link, self.link = self.link, None
        if link is None:
            return
        if self.complete:
            link.close(grace_s)
        elif not link.kill(grace_s):
            self._go_back()

    def _running(self) -> Link:
        if self.link is None:
            self.link = self._start()
        return self.link

    def _start(self) -> Link:
        if self._failures >= MAX_RESTARTS:
            self.mode = "offline"
        time.sleep(max(0.0, self._started_at + _START_GAP_S - time.monotonic()))
        self._started_at = time.monotonic()
        self.link = Link(self._folder)
        share = 0.4 if self.mode == "online" else 1.0
        request = {
            "do": "start",
            "mode": self.mode,
            "project": self._project,
            "timeout_s": INIT_TIMEOUT_S,
        }
        try:
            reply = self.link.ask(request, until=self._deadline(START_TIMEOUT_S, share))
        except SinkError as error:
            if self.mode == "offline":
                raise
            self.mode = "offline"
            raise SinkError(
                f"no run could be opened online ({error}), so it goes offline"
            ) from None
        self.url = reply["url"]
        self._keep_directory(reply["directory"])
        return self.link

    def _advance(self, link: Link) -> bool:
        request = {"do": "advance", "position": asdict(self.position)}
        reply = link.ask(request, until=self._deadline(ANSWER_TIMEOUT_S, 1.0))
        reached = Position.of(reply["position"])
        if reached != self.position:
            self._move(reached)
            self._remember(time.monotonic())
        if reply["missing"]:
            _log.warning("W&B: %d dashboards were no longer there to log", reply["missing"])
        return bool(reply["more"])

    def _close_run(self, link: Link) -> None:
        request = {"do": "finish", "summary": self.position.summary}
        try:
            link.ask(request, until=self._deadline(ANSWER_TIMEOUT_S, 1.0))
            self.complete = True
        except SinkError as error:
            self._failed(str(error))

    def _keep_directory(self, directory: str) -> None:
        inside = Path(directory).resolve().relative_to(self._folder.resolve()).as_posix()
        known = self.position.directories
        self._move(replace(self.position, directories=(*known, inside)))

    def _move(self, position: Position) -> None:
        self.position = position
        try:
            position.save(self._folder / "wandb" / POSITION_NAME)
        except SinkError as error:
            self.note = str(error)

    def _remember(self, answered_at: float) -> None:
        """Keep this position, and of the earlier ones the last that was surely on disk by then."""
        self._reached.append((answered_at, self.position))
        while self._reached[1][0] <= answered_at - _ON_DISK_AFTER_S:
            self._reached.popleft()

    def _go_back(self) -> None:
        """Return to the last position that was surely on disk when W&B answered last."""
        _, position = self._reached[0]
        self._reached = deque([(-math.inf, position)])
        self._move(replace(position, directories=self.position.directories))

    def _failed(self, reason: str) -> None:
        self.note = reason
        steady = time.monotonic() - self._started_at >= _STEADY_S and len(self._reached) > 1
        self._failures = 1 if steady else self._failures + 1
        self._again_at = time.monotonic() + RETRY_AFTER_S
        later = f"trying again in {RETRY_AFTER_S:.0f} s"
        _log.warning("W&B: %s; %s", reason, later if self._failures > MAX_RESTARTS else "again")
        link, self.link = self.link, None
        if link is not None and not link.kill(self._last_words_s()):
            self._go_back()

    def _last_words_s(self) -> float:
        """How long W&B's own process may take to write what it holds."""
        if len(self._reached) == 1:
            return 0.0  # it was told nothing that is not on disk
        return max(_SHORT_S, self._deadline(_LAST_WORDS_S, 1.0)() - time.monotonic())
