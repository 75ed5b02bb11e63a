"""The facade that a training loop talks to: hand over, and go on."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from shared.codec import encode
from shared.errors import ConfigurationError, ContractError
from shared.messages import EpochEnded, Phase, RunStarted, RunStatus, Sample
from shared.texts import readable
from trainer.forked import put_aside_in_children
from trainer.publish.arrays import capture_arrays
from trainer.publish.contract import BatchKeys, Capture
from trainer.publish.inbox import Inbox
from trainer.publish.outcome import NOTHING_KNOWN, PublishOutcome
from trainer.publish.progress import Progress, final_books
from trainer.publish.sender import Closing, Sender
from trainer.publish.settings import PublishSettings
from trainer.publish.stages import make_stages
from trainer.publish.target import Target

log = logging.getLogger(__name__)

_STANDS_STILL_S = 1.0
_LONGEST_SAVE_S = 10.0
_PROGRESS_EVERY_S = 0.2


class Publisher:
    """Hands batches of one run to a sender thread. Made by `start`, ended by `close`.

    In a forked child (a DataLoader's worker) it does nothing, and neither does a copy of it, by
    pickle or ``copy``: closing one returns at once, and says that nothing is known.

    Attributes
    ----------
    longest_handoff_s : float
        Longest time that handing a batch over took, capturing included: who captures batches
        for `publish` measures it, and says so here.
    """

    def __init__(
        self, run: RunStarted, inbox: Inbox, sender: Sender, settings: PublishSettings, rank: int
    ) -> None:
        self._run = run
        self._rank = rank
        self._inbox = inbox
        self._sender = sender
        self._settings = settings
        self._own = True
        self._taking = True
        self._failure_said = False
        self._outcome: PublishOutcome | None = None
        self.longest_handoff_s = 0.0
        put_aside_in_children(self, Publisher._put_aside)

    @classmethod
    def start(
        cls,
        run: RunStarted,
        *,
        endpoint: str | None = None,
        record: Path | None = None,
        keys: Path | None = None,
        settings: PublishSettings | None = None,
        analyzer_lives: Callable[[], bool] | None = None,
        rank: int = 0,
    ) -> "Publisher":
        """Start the sender thread of a run.

        Parameters
        ----------
        run : RunStarted
            The run's fixed facts.
        endpoint : str, optional
            Where the analyzer listens (``tcp://HOST:PORT``); without it no socket is opened.
        record : Path, optional
            MCAP file that gets everything.
        keys : Path, optional
            Folder with ``client.key_secret`` and the analyzer's ``server.key``; without it
            nothing is encrypted.
        settings : PublishSettings, optional
            Bounds.
        analyzer_lives : callable, optional
            Tells whether the process of an analyzer of one's own still runs; when it does
            not, closing waits for nobody.

        rank : int
            Number of this process among those that train together.

        Raises
        ------
        ConfigurationError
            If `endpoint` has no known form or cannot be connected to, `record` exists or
            cannot be made, `keys` cannot be used, or the run's `config` fits in no message.
        ValueError
            If neither `endpoint` nor `record` is given.
        """
        if endpoint is None and record is None:
            raise ValueError("give an endpoint to send to, a file to record to, or both")
        _check_fits(run)
        settings = settings or PublishSettings()
        target = (
            None if endpoint is None else Target(endpoint, keys, own=analyzer_lives is not None)
        )
        stages = make_stages(
            run, settings, target, record, analyzer_lives=analyzer_lives, rank=rank
        )
        sender = Sender(run, stages, settings)
        sender.start()
        return cls(run, stages.inbox, sender, settings, rank)

    def publish(self, keys: BatchKeys, capture: Capture) -> None:
        """Hand a batch over; takes microseconds, never waits and never raises."""
        if not self._taking:
            return
        try:
            # What a sender that failed or stands still does not take is counted.
            if not self._inbox.put_batch(keys, capture, time.time_ns()):
                self._inbox.not_taken += 1
                capture.drop_frame()
        except Exception:
            self._count_failure()

    def batch(
        self,
        *,
        phase: Phase,
        epoch: int,
        batch_idx: int,
        global_step: int,
        phase_step: int | None = None,
        loss: Any = None,
        input: Any = None,
        reconstruction: Any = None,
        attention: Mapping[str, Any] | None = None,
        scalars: Mapping[str, Any] | None = None,
        samples: tuple[Sample, ...] | None = None,
    ) -> None:
        """Hand over a batch of plain arrays or CPU tensors, for a bare training loop.

        Parameters
        ----------
        loss : float or 0-d tensor
            As trained.
        input, reconstruction : array of shape (N, 3, H, W) or (N, H, W, 3)
            Clean target and output, float in [0, 1] or uint8; the first `frame_samples`
            of the run are copied here and now.
        attention : mapping of layer name to array of shape (N, h, w)
            Gates in (0, 1).
        scalars : mapping of name to number
            Anything else.
        """
        began_s = time.perf_counter()
        try:
            if self._taking:
                step = global_step if phase_step is None else phase_step
                size = len(input) if hasattr(input, "__len__") else None
                keys = BatchKeys(phase, epoch, batch_idx, global_step, step, self._rank, size)
                capture = capture_arrays(
                    keys,
                    {"loss": loss, **(scalars or {})},
                    images=(input, reconstruction),
                    attention=attention or {},
                    samples=samples,
                    most=self._run.frame_samples,
                )
                self.publish(keys, capture)
        except Exception:
            self._count_failure()
        self.longest_handoff_s = max(self.longest_handoff_s, time.perf_counter() - began_s)

    def count_lost(self) -> None:
        """Count a batch that could not be captured: its record is lost; never raises."""
        if self._taking:
            self._inbox.not_taken += 1

    def epoch_ended(self, epoch: int, global_step: int) -> None:
        """Say that an epoch ended, its validation included; never raises."""
        try:
            if self._taking:
                now_ns = time.time_ns()
                event = EpochEnded(
                    epoch=epoch, global_step=global_step, rank=self._rank, captured_at_ns=now_ns
                )
                if not self._inbox.put_event(event):
                    self._inbox.not_taken += 1
        except Exception:
            self._count_failure()

    @property
    def progress(self) -> Progress:
        """The sender thread's latest snapshot."""
        return self._sender.progress if self._own else Progress()

    def close(
        self,
        status: RunStatus = "finished",
        *,
        reason: str | None = None,
        timeout_s: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> PublishOutcome:
        """End the run: let the analyzer catch up for at most `timeout_s`, then leave.

        What was not delivered by then stands in the journal; the outcome names it. While records
        are still being written there, closing goes on for up to 10 s; for a disk that hangs it
        waits 1 s. Whatever interrupts the wait (Ctrl-C) ends it: what is there is written, and
        the exception goes on. Closing again returns the same outcome.
        """
        if not self._own:
            return NOTHING_KNOWN
        if self._outcome is None:
            timeout_s = self._settings.close_timeout_s if timeout_s is None else timeout_s
            self._taking = False
            deadline_s = time.monotonic() + timeout_s
            reason = None if reason is None else readable(reason)
            closing = Closing(status, reason, timeout_s, deadline_s)
            self._sender.request_close(closing)
            try:
                self._join(deadline_s, on_progress)
            except BaseException:
                now_s = time.monotonic()
                self._sender.request_close(replace(closing, timeout_s=0.0, deadline_s=now_s))
                self._join(now_s, None)
                raise
            finally:
                self._outcome = self._summarize()
        return self._outcome

    def __reduce__(self) -> tuple[Any, ...]:
        return _copy, (self._run,)

    def _put_aside(self) -> None:
        """Do nothing from now on: this is a fork, and threads and sockets are its parent's."""
        self._own = self._taking = False

    def _count_failure(self) -> None:
        self._inbox.not_taken += 1
        if not self._failure_said:
            self._failure_said = True
            log.exception("handing over a batch failed; training goes on, further ones are counted")

    def _join(self, deadline_s: float, on_progress: Callable[[Progress], None] | None) -> None:
        """Wait for the sender thread: once it saves nothing more, it stands still."""
        saved, saved_at_s = self._sender.saved, deadline_s
        while not self._sender.ended.is_set():
            now_s = time.monotonic()
            if self._sender.saved > saved:
                saved, saved_at_s = self._sender.saved, max(now_s, deadline_s)
            until_s = min(saved_at_s + _STANDS_STILL_S, deadline_s + _LONGEST_SAVE_S)
            if now_s >= until_s:
                return
            self._sender.ended.wait(min(_PROGRESS_EVERY_S, until_s - now_s))
            if on_progress is not None:
                on_progress(self._sender.progress)

    def _summarize(self) -> PublishOutcome:
        progress = self._sender.progress
        books = final_books(progress, self._inbox)
        if not self._sender.ended.is_set():
            log.error(
                "the sidecar's sender thread was not done in time (a disk that hangs?): %d records "
                "are not delivered, and may stand in no file",
                books.records.pending,
            )
        return PublishOutcome(
            books=books,
            complete=self._sender.delivered_everything and not self._inbox.not_taken,
            without_values=progress.without_values,
            journal=progress.journal,
            refusal=progress.refusal,
            run_folder=progress.run_folder,
            longest_handoff_us=1e6 * self.longest_handoff_s,
        )


def _check_fits(run: RunStarted) -> None:
    """Without its first record, nothing of a run could be read."""
    try:
        encode(run)
    except ContractError as error:
        raise ConfigurationError(f"this run cannot be announced: {error}") from error


def _copy(run: RunStarted) -> Publisher:
    """A publisher that belongs to no process."""
    copied = Publisher.__new__(Publisher)
    copied._run = run
    copied._own = copied._taking = False
    copied.longest_handoff_s = 0.0
    return copied
