"""The W&B sink: a thread of its own that drives a child process, and never delays anyone."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.wandb_outcome import Mode, Standing, WandbOutcome, WandbState
from analyzer_service.sinks.wandb_session import Session
from shared.errors import SidelightError

__all__ = ["Mode", "WandbOutcome", "WandbSink"]

_KILL_SHARE: Final = 0.25
_KILL_MAX_S: Final = 2.5

_log = logging.getLogger(__name__)


class WandbSink:
    """Logs a run's committed rows and dashboards to W&B.

    Parameters
    ----------
    folder : Path
        The run's folder; W&B's files go to ``wandb/`` in it.
    mode : {"online", "offline", "disabled"}
        Online falls back to offline when W&B cannot be reached or there is no key.
    project : str
        W&B project.
    """

    def __init__(self, folder: Path, mode: Mode, project: str) -> None:
        self._folder = folder
        self._mode = mode
        self._wake = threading.Event()
        self._ending: tuple[float, float] | None = None
        self._session = Session(folder, mode, project, deadline=self._deadline)
        self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)
        if mode != "disabled":
            self._thread.start()

    def notify(self) -> None:
        """Say that new rows or dashboards may be committed; never blocks."""
        self._wake.set()

    def standing(self) -> Standing:
        """How far it is; any thread may ask, and none waits."""
        session = self._session
        state: WandbState = session.mode
        if self._mode != "disabled" and session.given_up and not session.complete:
            state = "given_up"
        return Standing(state, session.position.rows, session.position.images)

    def finish(self, timeout_s: float = 10.0) -> WandbOutcome:
        """Log the rest and close the run, in `timeout_s` seconds at most.

        What was not logged by then is named in the outcome; the child process is gone.
        """
        if self._mode == "disabled":
            return WandbOutcome(mode="disabled", logged_to="disabled", complete=True)
        now = time.monotonic()
        self._ending = (now, timeout_s - min(_KILL_MAX_S, timeout_s * _KILL_SHARE))
        self._wake.set()
        self._thread.join(timeout_s)
        return self._outcome()

    def _work(self) -> None:
        try:
            while self._ending is None:
                self._wake.wait()
                self._wake.clear()
                if self._ending is None:
                    self._session.catch_up()
            self._session.finish()
        except Exception as error:  # the thread's edge: nothing of W&B may end the analyzer
            _log.exception("W&B: stopped")
            self._session.note = f"{type(error).__name__}: {error}"
        finally:
            self._session.close(self._grace())

    def _grace(self) -> float:
        if self._ending is None:
            return _KILL_MAX_S
        begun, allowed = self._ending
        return max(0.0, begun + allowed + _KILL_MAX_S * _KILL_SHARE - time.monotonic())

    def _deadline(self, limit_s: float, share: float) -> Callable[[], float]:
        """When a request that may take `limit_s` is to be given up.

        Once the end has begun, it may use `share` of the time allowed for that.
        """
        own = time.monotonic() + limit_s

        def until() -> float:
            if self._ending is None:
                return own
            begun, allowed = self._ending
            return min(own, begun + share * allowed)

        return until

    def _outcome(self) -> WandbOutcome:
        session, position = self._session, self._session.position
        rows_left, images_left = self._left()
        return WandbOutcome(
            mode=self._mode,
            logged_to=session.mode,
            complete=session.complete and not (rows_left or images_left),
            rows=position.rows,
            images=position.images,
            rows_left=rows_left,
            images_left=images_left,
            directories=tuple(self._folder / name for name in position.directories),
            url=session.url,
            note=session.note,
        )

    def _left(self) -> tuple[int, int]:
        position = self._session.position
        try:
            with RunReader(self._folder) as reader:
                images = reader.dashboards(after=position.dashboard)
                return max(0, reader.state().released - position.release), len(images)
        except (SidelightError, OSError):
            return 0, 0
