"""The connection to the analyzer as states: away, greeting, open, refused.

Time comes in as an argument, so the whole machine can be tested without waiting.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from shared.codec import Buffer
from shared.messages import Books
from shared.protocol import (
    HEARTBEAT_INTERVAL_S,
    SILENCE_LIMIT_S,
    Attach,
    Heartbeat,
    Hello,
    Reject,
    Welcome,
    pack,
)

log = logging.getLogger(__name__)

Counted = Callable[[], Books]
State = Literal["away", "greeting", "open", "refused"]

_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 5.0
_HELLO_AGAIN_S = 1.0
_STOOD_STILL_S = 2.0
_STRIKES = 32
_NOT_UNDERSTOOD = (
    "the analyzer's answers cannot be read; training goes on, records wait: install the same "
    "Sidelight on both sides"
)


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the records are: the number that comes next, the last one sent and acknowledged."""

    next_cseq: int
    sent_cseq: int = 0
    acked_cseq: int = 0


class Sockets(Protocol):
    """What the link needs of a pair of sockets (`shared.transport.producer.ProducerSockets`)."""

    def reopen(self) -> None:
        """Connect anew."""
        ...

    def shut(self) -> None:
        """Take nothing more until `reopen`."""
        ...

    def send(self, channel: Literal["ctl", "bulk"], parts: Sequence[Buffer]) -> bool:
        """Send without waiting; False when it cannot go now."""
        ...


class Link:
    """Keeps one analyzer greeted; tells when records and frames may be sent.

    Parameters
    ----------
    sockets : Sockets
        Used by this thread only.
    hello : Hello
        Who we are; how far we are is filled in at each greeting.
    unanswered : str, optional
        What the log says when nobody has answered the first greetings.
    """

    def __init__(self, sockets: Sockets, hello: Hello, *, unanswered: str | None = None) -> None:
        self._sockets = sockets
        self._hello = hello
        self._unanswered = unanswered
        self._backoff_s = _FIRST_BACKOFF_S
        self._since_s = float("-inf")
        self._greeted_at_s = float("-inf")
        self._heard_at_s = float("-inf")
        self._beat_at_s = float("-inf")
        self._ticked_at_s = float("-inf")
        self._token: str | None = None
        self._attached = False
        self._confused = False
        self._strikes = 0
        self.state: State = "away"
        self.ever_open = False
        self.refusal: str | None = None

    def tick(self, now_s: float, reached: Reached, books: Counted | None = None) -> None:
        """Do what is due: reconnect, greet, attach, show life, notice silence.

        `books` gives what the next heartbeat says of them.
        """
        self._forgive_own_silence(now_s)
        if self.state == "away" and now_s >= self._since_s + self._backoff_s:
            self._sockets.reopen()
            self._strikes = 0
            self._enter("greeting", now_s)
        if self.state == "greeting":
            self._greet(now_s, reached)
        if self.state == "open":
            self._keep_alive(now_s, reached.sent_cseq, books)

    def heard(self, now_s: float) -> None:
        """Note that the analyzer said anything at all."""
        self._heard_at_s = now_s

    def not_understood(self, why: str, now_s: float) -> None:
        """Note an answer that cannot be read: said once, and nobody is said to be silent.

        Who goes on and on like that is left alone for a while: it may be any program.
        """
        if not self._confused:
            log.error("%s (%s)", _NOT_UNDERSTOOD, why)
        self._confused = True
        self._strikes += 1
        if self._strikes >= _STRIKES:
            self.broken(now_s)

    def welcomed(self, welcome: Welcome, now_s: float) -> None:
        """Enter `open` with the analyzer's token."""
        self._token = welcome.token
        self._attached = False
        self._backoff_s = _FIRST_BACKOFF_S
        self.ever_open = True
        self._enter("open", now_s)
        self._attach()

    def answered(self, welcome: Welcome) -> bool:
        """Whether `welcome` repeats the one that opened this connection."""
        return self.state == "open" and welcome.token == self._token

    def reset(self, now_s: float) -> None:
        """Greet again: the analyzer does not know this connection."""
        if self.state == "open":
            log.info("the analyzer restarted; greeting it again")
            self._enter("greeting", now_s)
            self._greeted_at_s = float("-inf")

    def rejected(self, reject: Reject, now_s: float) -> None:
        """Stop trying: the analyzer refused for good."""
        self.refusal = reject.reason
        self._sockets.shut()
        self._enter("refused", now_s)

    def broken(self, now_s: float) -> None:
        """Connect anew, a little later: a socket failed."""
        if self.state in ("greeting", "open"):
            self._leave(now_s)

    @property
    def may_send_frames(self) -> bool:
        """Whether `bulk` is bound to this connection."""
        return self.state == "open" and self._attached

    def _forgive_own_silence(self, now_s: float) -> None:
        """Time in which this process itself stood still is not the analyzer's silence."""
        gap_s, self._ticked_at_s = now_s - self._ticked_at_s, now_s
        if self.state in ("greeting", "open") and _STOOD_STILL_S < gap_s < float("inf"):
            self._since_s += gap_s
            self._heard_at_s += gap_s

    def _enter(self, state: State, now_s: float) -> None:
        self.state = state
        self._since_s = now_s

    def _greet(self, now_s: float, reached: Reached) -> None:
        if now_s - self._since_s > SILENCE_LIMIT_S:
            self._say_unanswered()
            self._leave(now_s)
        elif now_s - self._greeted_at_s >= _HELLO_AGAIN_S:
            far = {"next_cseq": reached.next_cseq, "acked_cseq": reached.acked_cseq}
            hello = self._hello.model_copy(update=far)
            if self._sockets.send("ctl", [pack(hello)]):
                self._greeted_at_s = now_s

    def _say_unanswered(self) -> None:
        if self._unanswered is not None and not (self.ever_open or self._confused):
            log.warning("%s", self._unanswered)
            self._unanswered = None

    def _keep_alive(self, now_s: float, sent_cseq: int, books: Counted | None) -> None:
        if now_s - max(self._heard_at_s, self._since_s) > SILENCE_LIMIT_S:
            log.warning("the analyzer is silent; training goes on, records wait for it")
            self._leave(now_s)
            return
        if not self._attached:
            self._attach()
        if now_s - self._beat_at_s >= HEARTBEAT_INTERVAL_S:
            said = None if books is None else books()
            heartbeat = Heartbeat(last_cseq=sent_cseq, books=said)
            if self._sockets.send("ctl", [pack(heartbeat)]):
                self._beat_at_s = now_s

    def _attach(self) -> None:
        if self._token is not None:
            self._attached = self._sockets.send("bulk", [pack(Attach(token=self._token))])

    def _leave(self, now_s: float) -> None:
        self._sockets.shut()
        self._enter("away", now_s)
        self._greeted_at_s = float("-inf")
        self._backoff_s = min(self._backoff_s * 2, _LONGEST_BACKOFF_S)
