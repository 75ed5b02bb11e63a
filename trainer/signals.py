"""How signals end a training: the first in order, within a time; the second, or too long, at once.

Lightning acts on SIGTERM at the end of a batch, and on nothing at all while the run's last files
are waited for; it ends with exit code 0 then, which whoever started it takes for success.
"""
# ruff: noqa: ARG002 - Lightning decides the hooks' signatures

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytorch_lightning as pl

log = logging.getLogger(__name__)


class EndedBySignals(pl.Callback):
    """Keeps a checkpoint where SIGTERM stops the training, and knows which signal it was.

    Must stand before callbacks that take their time at the end.

    Parameters
    ----------
    checkpoint : Path
        Where the state goes at SIGTERM; of several ranks nobody's does, as they may not all come.
    grace_s : float
        Seconds after SIGTERM after which the process ends, whatever it does.
    alone : bool
        Whether this is the only rank.

    Attributes
    ----------
    number : int or None
        The signal that ended the training.
    """

    def __init__(self, checkpoint: Path, grace_s: float, *, alone: bool) -> None:
        self.number: int | None = None
        self._checkpoint = checkpoint
        self._grace_s = grace_s
        self._alone = alone
        self._in_steps = False
        self._timer: threading.Timer | None = None

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Heed SIGTERM meanwhile; only the main thread can.

        Several ranks are left to Lightning, which tells each of them and has them end together.
        """
        if not self._alone or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        signal.signal(signal.SIGTERM, self._terminate)
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on, Lightning itself ends the training at the end of a batch."""
        self._in_steps = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on, nobody but this does."""
        self._in_steps = False

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Keep what can be kept, before the run is closed."""
        self._in_steps = False
        if isinstance(exception, KeyboardInterrupt):
            self.number = signal.SIGINT
            # Lightning ignores Ctrl-C from here on.
            signal.signal(signal.SIGINT, _end_at_once)
        elif type(exception).__name__ == "SIGTERMException":
            self.number = signal.SIGTERM
            if self._alone:
                self._keep(trainer)

    def _keep(self, trainer: pl.Trainer) -> None:
        """At the end of a batch, where model and optimizer fit each other."""
        if trainer.global_step == 0 or trainer.sanity_checking:
            return
        try:
            trainer.save_checkpoint(self._checkpoint)
        except Exception:  # a full disk must not keep the run from its end
            log.exception("no checkpoint could be written")

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            _end_at_once(number, frame)
        self.number = number
        self._timer = threading.Timer(self._grace_s, self._too_long)
        self._timer.daemon = True
        self._timer.start()
        if not self._in_steps:
            raise SystemExit(128 + number)

    def _too_long(self) -> None:
        log.warning(
            "not through within --grace %g s of SIGTERM: ended at once; what the analyzer has not "
            "got stands in the run's journal, the last checkpoint is the one before",
            self._grace_s,
        )
        _end_at_once(signal.SIGTERM)


def _end_at_once(number: int, frame: Any = None) -> NoReturn:  # noqa: ARG001 - a signal's handler
    """Without a word more: what must not be lost is on the disk at any moment."""
    os._exit(128 + number)
