"""The end of a run at W&B: on a thread of its own, so that other runs never wait for it."""

import logging
import threading
from collections.abc import Callable

from analyzer_service.sinks.wandb_sink import WandbOutcome, WandbSink

logger = logging.getLogger(__name__)


class Ending:
    """Finishes `sink`, then calls `on_done`.

    `outcome` is None until then, and after a failure.
    """

    def __init__(self, sink: WandbSink, timeout_s: float, on_done: Callable[[], None]) -> None:
        self.outcome: WandbOutcome | None = None
        self._sink = sink
        self._timeout_s = timeout_s
        self._on_done = on_done
        self._done = threading.Event()
        threading.Thread(target=self._finish, name="wandb-end", daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether W&B has been dealt with."""
        return self._done.is_set()

    def _finish(self) -> None:
        try:
            self.outcome = self._sink.finish(self._timeout_s)
        except Exception:  # the thread's edge: the run itself is written
            logger.exception("W&B could not be finished")
        finally:
            self._done.set()
            self._on_done()
