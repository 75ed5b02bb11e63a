"""What producers are told: each answer is owed until ZeroMQ has taken it."""

import logging
from typing import Final

from analyzer_service.receive.refused import Refused
from analyzer_service.receive.seams import Sender
from analyzer_service.receive.session import Session
from shared import protocol
from shared.transport.server import Channel

logger = logging.getLogger(__name__)

_RESET_INTERVAL_S: Final = 1.0


class Answers:
    """Says what is due to sessions and to strangers, without waiting.

    Parameters
    ----------
    sender : Sender
        Takes control headers for peers.
    refused : Refused
        Tells how often a stranger may be answered.
    """

    def __init__(self, sender: Sender, refused: Refused) -> None:
        self._sender = sender
        self._refused = refused

    def send(self, session: Session, control: protocol.Control) -> bool:
        """Hand an answer over; False when it cannot go now."""
        return self._sender.send("ctl", session.ctl, protocol.pack(control))

    def pay(self, session: Session) -> None:
        """Acknowledge what is committed, return credit, end what is complete."""
        if session.ack_due and self.send(session, protocol.Ack(cseq=session.committed_cseq)):
            session.ack_due = False
            if session.run is not None:
                session.run.acked[session.origin] = session.committed_cseq
        credit = session.credit()
        if credit is not None and self.send(session, credit):
            session.settle_credit()
        if _may_finish(session) and self.send(session, protocol.FinAck()):
            session.finished = True

    def beat(self, session: Session, now: float) -> bool:
        """Show life, and how far behind this analyzer is; False when the producer is gone."""
        session.beat_at = now
        return self.send(session, _heartbeat(session))

    def ask_again(self, session: Session, now: float) -> None:
        """Records are missing: let the producer say Hello again and send from the gap on."""
        failing = session.run is not None and session.run.failing
        if not failing and now - session.reset_at >= _RESET_INTERVAL_S:
            session.reset_at = now
            session.gap = not self.send(session, protocol.Reset())

    def reject(self, peer: bytes, who: str, reason: str) -> None:
        """Refuse a producer for good."""
        logger.error("%s refused: %s", who, reason)
        self._sender.send("ctl", peer, protocol.pack(protocol.Reject(reason=reason[:1024])))

    def reset_stranger(self, channel: Channel, peer: bytes, now: float) -> None:
        """Tell a peer that nobody knows it, now and then."""
        if self._refused.may_reset(channel, peer, now):
            self._sender.send(channel, peer, protocol.pack(protocol.Reset()))


def _may_finish(session: Session) -> bool:
    last = session.last_cseq
    if session.finished or last is None or session.committed_cseq < last:
        return False
    return session.run is None or session.run.drained(session.origin)


def _heartbeat(session: Session) -> protocol.Heartbeat:
    run = session.run
    if run is None:
        return protocol.Heartbeat()
    return protocol.Heartbeat(
        ingest_lag_ms=session.ingest_lag_ms,
        work_lag_ms=run.pipeline.work_lag_ms,
        frames_waiting=run.pipeline.frames_waiting,
    )
