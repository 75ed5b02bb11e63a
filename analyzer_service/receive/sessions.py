"""The analyzer's half of the protocol: who is connected, what each may send, what each is owed.

Nothing here waits and nothing here trusts: what is no message is counted, and logged once a peer.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from analyzer_service.commit.database import StoreError
from analyzer_service.metrics.snapshot import Said
from analyzer_service.pipeline import Committed
from analyzer_service.receive import handshake
from analyzer_service.receive.answers import Answers
from analyzer_service.receive.intake import Intake
from analyzer_service.receive.live_run import LiveRun
from analyzer_service.receive.refused import Refused
from analyzer_service.receive.seams import RunDirectory, Sender, SessionSettings
from analyzer_service.receive.session import Session
from shared import protocol
from shared.codec import Buffer
from shared.errors import ConfigurationError, ContractError, SidelightError
from shared.transport.server import Channel, Incoming

logger = logging.getLogger(__name__)

_OPEN_AGAIN_S: Final = 5.0


class Sessions:
    """Every connected producer.

    Parameters
    ----------
    sender : Sender
        Takes control headers for peers.
    runs : RunDirectory
        Where runs are opened.
    settings : SessionSettings
        Times and credit.
    wall_clock_ns : callable
        Nanoseconds since the Unix epoch, for the ingest lag.

    Attributes
    ----------
    refused : Refused
        Counts what was no message of the contract, and what was dropped unread.
    """

    def __init__(
        self,
        sender: Sender,
        runs: RunDirectory,
        settings: SessionSettings = SessionSettings(),  # noqa: B008 - frozen
        *,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._runs = runs
        self._settings = settings
        self._wall_clock_ns = wall_clock_ns
        self._intake = Intake(runs.open, settings.credit_bytes, wall_clock_ns)
        self._by_ctl: dict[bytes, Session] = {}
        self._by_bulk: dict[bytes, Session] = {}
        self._by_identity: dict[tuple[str, str], Session] = {}
        self._rivals: dict[tuple[str, str], tuple[bytes, protocol.Hello]] = {}
        self._unopened: set[str] = set()
        self.refused = Refused()
        self._answers = Answers(sender, self.refused)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_identity.values()))

    def take(self, channel: Channel, incoming: Incoming, now: float) -> None:
        """Act on one message of a peer; never raises for what a peer sent."""
        if self.refused.ignores(incoming.peer, now):
            return
        try:
            control = protocol.unpack(incoming.header)
            if isinstance(control, protocol.Hello) and channel == "ctl":
                self._hello(incoming.peer, control, now)
            elif isinstance(control, protocol.Attach) and channel == "bulk":
                self._attach(incoming.peer, control, now)
            else:
                self._dispatch(channel, incoming, control, now)
        except protocol.OtherMajor as error:
            self._refuse_version(channel, incoming.peer, error, now)
        except ContractError as error:
            self.refused.count(incoming, str(error), now)

    def committed(self, run: LiveRun, committed: Committed) -> None:
        """Acknowledge to the producers of `run` what is committed now."""
        for session in self:
            if session.run is not run:
                continue
            if session.origin in committed.acked:
                session.committed_cseq = committed.acked[session.origin]
                session.ack_due = True
            session.owe(
                committed.credit.get(session.origin, 0),
                committed.delivered.get(session.origin, {}),
            )

    def tick(self, now: float) -> None:
        """Pay what is owed, send heartbeats, notice silence."""
        for session in self:
            self._answers.pay(session)
            if session.gap:
                self._answers.ask_again(session, now)
            silent_s = now - session.heard_at
            if silent_s > self._settings.silence_limit_s:
                self._silent(session, now)
            elif now - session.beat_at >= self._settings.heartbeat_interval_s:
                self._beat(session, now)

    def forgive(self, seconds: float) -> None:
        """Do not count the last `seconds` as silence: this process itself stood still."""
        for session in self:
            session.heard_at += seconds

    def drop(self, session: Session) -> None:
        """Forget a producer; if it still lives, it is told to say Hello again."""
        self._by_ctl.pop(session.ctl, None)
        if session.bulk is not None:
            self._by_bulk.pop(session.bulk, None)
        if self._by_identity.get(session.identity) is session:
            del self._by_identity[session.identity]

    def _dispatch(
        self, channel: Channel, incoming: Incoming, control: protocol.Control, now: float
    ) -> None:
        peers = self._by_ctl if channel == "ctl" else self._by_bulk
        session = peers.get(incoming.peer)
        if session is None:
            self._answers.reset_stranger(channel, incoming.peer, now)
            return
        self._heard(session, channel, now)
        self._note_books(session, control)
        if session.run is not None and session.run.closed:
            self._after_close(session, control)
        elif isinstance(control, protocol.Record) and channel == "ctl":
            self._record(session, control.cseq, incoming.parts, now)
        elif isinstance(control, protocol.Frame) and channel == "bulk":
            self._intake.frame(session, control, incoming.parts)
        elif isinstance(control, protocol.Fin) and channel == "ctl":
            session.end_at(control.last_cseq)
        elif isinstance(control, protocol.Heartbeat):
            session.compare(control.last_cseq)
        else:
            raise ContractError(f"unexpected {control.kind} on {channel}")

    def _after_close(self, session: Session, control: protocol.Control) -> None:
        """Its run is over and closed: only a question for its end can be answered as it is."""
        if isinstance(control, protocol.Fin) and control.last_cseq <= session.committed_cseq:
            session.last_cseq, session.finished = control.last_cseq, False
        elif not isinstance(control, protocol.Heartbeat | protocol.Fin):
            self._answers.send(session, protocol.Reset())
            self.drop(session)

    def _note_books(self, session: Session, control: protocol.Control) -> None:
        """Keep what a producer says of its own books, also when its run is over already."""
        told = control.books if isinstance(control, protocol.Heartbeat | protocol.Fin) else None
        if told is not None and session.run is not None:
            session.run.said[session.origin] = Said(told, self._wall_clock_ns() / 1e9)

    def _heard(self, session: Session, channel: Channel, now: float) -> None:
        if session.run is not None and session.origin in session.run.heard:
            session.run.heard[session.origin] = now
        rival = self._rivals.pop(session.identity, None)
        if rival is not None:
            self._reject(*rival, handshake.taken(rival[1], session.hello.instance))
        if channel == "bulk":
            return  # it lives; whether its records can come, too, only `ctl` can tell
        session.heard_at = now
        if session.away:
            session.away = False
            logger.info("%s is back", session.label)

    def _hello(self, peer: bytes, hello: protocol.Hello, now: float) -> None:
        self.refused.greeted(peer, now)
        reason = handshake.refusal(hello)
        if reason is not None:
            self._reject(peer, hello, reason)
            return
        holder = self._by_identity.get((hello.run_id, hello.producer))
        if holder is not None and holder.hello.instance != hello.instance and not holder.finished:
            # The holder's next word decides: it lives, or it is silent and gives way in `tick`.
            self._rivals[holder.identity] = (peer, hello)
            return
        self._admit(peer, hello, now)

    def _refuse_version(
        self, channel: Channel, peer: bytes, error: protocol.OtherMajor, now: float
    ) -> None:
        self.refused.greeted(peer, now)
        reason = handshake.other_major("protocol", error.theirs, protocol.PROTOCOL_VERSION)
        if channel == "ctl" and self.refused.may_reset(channel, peer, now):
            self._answers.reject(peer, error.who, reason)

    def _admit(self, peer: bytes, hello: protocol.Hello, now: float) -> None:
        try:
            run = self._runs.known(hello.run_id, hello.run_name)
            if run is not None and run.failing:
                return  # what is committed cannot be said now; the producer asks again
        except StoreError as error:
            self._put_off(hello, error)
            return
        except SidelightError as error:
            self._reject(peer, hello, str(error))
            return
        other = self._by_ctl.get(peer)
        if other is not None and other.identity != (hello.run_id, hello.producer):
            self.drop(other)  # a connection speaks for one producer
        before = self._by_identity.get((hello.run_id, hello.producer))
        if before is None and len(self._by_identity) >= self._settings.max_producers:
            self._reject(peer, hello, handshake.full(self._settings.max_producers))
            return
        session = Session(peer, hello, heard_at=now, run=run, beat_at=now)
        if before is not None:
            self.drop(before)
            if before.ctl == peer:  # asked again before it had the answer: both answers hold
                session.token, session.bulk = before.token, before.bulk
        if session.bulk is not None:
            self._by_bulk[session.bulk] = session
        self._by_ctl[peer] = self._by_identity[session.identity] = session
        self._welcome(session, now)

    def _put_off(self, hello: protocol.Hello, error: StoreError) -> None:
        """The disk does not let its run be opened: the producer keeps everything, asks again."""
        if hello.run_id not in self._unopened:
            self._unopened.add(hello.run_id)
            logger.error("%s cannot be received yet, and is tried again: %s", hello.run_name, error)

    def _welcome(self, session: Session, now: float) -> None:
        delivered: dict[str, Any] = {}
        run, hello = session.run, session.hello
        if run is not None:
            run.expect_all(session.origin, now)
            session.committed_cseq = run.pipeline.committed_cseq(*session.origin)
            held = run.pipeline.delivered(*session.origin)
            delivered = {stream: numbers.ranges for stream, numbers in held.items()}
        welcome = protocol.Welcome.model_validate(
            {
                "committed_cseq": session.committed_cseq,
                "delivered": delivered,
                "credit_bytes": max(0, self._settings.credit_bytes - session.waiting_bytes),
                "token": session.token,
                "run_folder": self._runs.folder_of(hello.run_name)[:1024],
                "acked_cseq": hello.acked_cseq,
            }
        )
        logger.info("%s connected, %d records held", session.label, session.committed_cseq)
        self._answers.send(session, welcome)

    def _attach(self, peer: bytes, attach: protocol.Attach, now: float) -> None:
        for session in self:
            if session.token == attach.token:
                if session.bulk is not None:
                    self._by_bulk.pop(session.bulk, None)
                session.bulk = peer
                self._by_bulk[peer] = session
                self._heard(session, "bulk", now)
                return
        self._answers.reset_stranger("bulk", peer, now)

    def _record(self, session: Session, cseq: int, parts: Sequence[Buffer], now: float) -> None:
        try:
            taken = self._intake.record(session, cseq, parts, now)
        except StoreError as error:
            self._put_off(session.hello, error)
            session.gap, session.reset_at = True, now + _OPEN_AGAIN_S
            return
        except ConfigurationError as error:
            self.drop(session)
            self._reject(session.ctl, session.hello, str(error))
            return
        if session.run is not None:
            self._unopened.discard(session.hello.run_id)
        session.ack_due = session.ack_due or taken == "known"
        session.gap = taken in ("gap", "full")

    def _beat(self, session: Session, now: float) -> None:
        there = self._answers.beat(session, now)
        if not there and session.run is not None and session.run.closed:
            self.drop(session)  # it left, and there is nothing that it could come back for

    def _silent(self, session: Session, now: float) -> None:
        rival = self._rivals.pop(session.identity, None)
        if session.finished or now - session.heard_at > self._settings.producer_timeout_s:
            self.drop(session)
        elif not session.away:
            session.away = True
            logger.warning("%s is silent", session.label)
        if rival is not None:
            self.drop(session)
            self._admit(*rival, now)

    def _reject(self, peer: bytes, hello: protocol.Hello, reason: str) -> None:
        self._answers.reject(peer, f"{hello.run_name}: {hello.producer}", reason)
