"""Records and frames of a session on their way into its run."""

from collections.abc import Callable, Sequence
from typing import Final

from analyzer_service.commit.database import StoreError
from analyzer_service.receive import handshake
from analyzer_service.receive.live_run import LiveRun, Taken, captured_at_ns
from analyzer_service.receive.session import Session
from shared.codec import Buffer, decode, join, size_of
from shared.errors import ConfigurationError, ContractError, SidelightError
from shared.messages import BatchFrame, CriticalMessage, RunStarted
from shared.protocol import Frame

# A producer sends none before its first record is committed: a few may overtake that, no more.
_MOST_EARLY_BYTES: Final = 4 << 20


class Intake:
    """Decodes what comes and hands it to the run that it belongs to.

    Parameters
    ----------
    open_run : callable
        Opens the run of a RunStarted.
    credit_bytes : int
        What a producer may have on its way; one that sends far more is not heeded.
    wall_clock_ns : callable
        Nanoseconds since the Unix epoch.
    """

    def __init__(
        self,
        open_run: Callable[[RunStarted], LiveRun],
        credit_bytes: int,
        wall_clock_ns: Callable[[], int],
    ) -> None:
        self._open_run = open_run
        self._credit_bytes = credit_bytes
        self._wall_clock_ns = wall_clock_ns

    def record(self, session: Session, cseq: int, parts: Sequence[Buffer], now: float) -> Taken:
        """Take in record `cseq`, if it is the next one.

        Raises
        ------
        ContractError
            If its bytes are no critical message, or not one that may stand there.
        ConfigurationError
            If its run cannot be opened.
        StoreError
            If the disk does not let it be opened now.
        """
        message = decode(parts)
        if isinstance(message, BatchFrame) or (cseq == 1) != isinstance(message, RunStarted):
            raise ContractError(f"record {cseq} cannot be a {message.type}")
        if isinstance(message, RunStarted):
            self._open(session, message, now)
        if session.run is None:
            return "gap"
        taken = session.run.take_record(session.origin, cseq, message, join(parts))
        if taken == "new":
            self._taken(session, message)
        return taken

    def frame(self, session: Session, control: Frame, parts: Sequence[Buffer]) -> None:
        """Take in a frame, now or as soon as its run has started.

        Raises
        ------
        ContractError
            If its bytes are no frame, another one than announced, or far beyond the credit.
        """
        frame = decode(parts)
        if not isinstance(frame, BatchFrame):
            raise ContractError(f"a {frame.type} came as a frame")
        if (frame.stream, frame.fseq) != (control.stream, control.fseq):
            raise ContractError(
                f"frame {frame.stream} {frame.fseq} came as {control.stream} {control.fseq}"
            )
        if session.waiting_bytes > 2 * self._credit_bytes:
            raise ContractError(f"frame far beyond the credit of {self._credit_bytes} bytes")
        if session.started:
            _place(session, frame, parts)
        elif session.early_bytes + (nbytes := size_of(parts)) > _MOST_EARLY_BYTES:
            raise ContractError("frames of a run that has not started")
        else:
            session.early.append((frame, parts))
            session.early_bytes += nbytes

    def _open(self, session: Session, started: RunStarted, now: float) -> None:
        reason = handshake.contradiction(session.hello, started)
        if reason is not None:
            raise ConfigurationError(reason)
        if session.run is not None:
            return
        try:
            session.run = self._open_run(started)
        except StoreError:
            raise
        except SidelightError as error:
            raise ConfigurationError(str(error)) from error
        session.run.expect(session.origin, now)

    def _taken(self, session: Session, message: CriticalMessage) -> None:
        # Two clocks: on one machine they are the same; between machines the lag includes
        # their difference, and never shows as less than nothing.
        lag_ms = (self._wall_clock_ns() - captured_at_ns(message)) / 1e6
        session.ingest_lag_ms = max(0.0, lag_ms)
        early, session.early, session.early_bytes = session.early, [], 0
        for frame, parts in early:
            _place(session, frame, parts)


def _place(session: Session, frame: BatchFrame, parts: Sequence[Buffer]) -> None:
    assert session.run is not None, "frames of a run that has not started wait in `early`"
    session.run.take_frame(session.origin, frame, parts)
