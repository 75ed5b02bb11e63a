"""`ClusterWorkers`: calls that may travel go to a cluster in chunks, all others stay here."""

import itertools
import logging
import select
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from analyzer_service.cluster import returning
from analyzer_service.cluster.chunks import AskedCall, AskedChunk, pack_asked, unpack_answered
from analyzer_service.cluster.connection import Answer
from analyzer_service.cluster.counts import ClusterCounts
from analyzer_service.cluster.installation import digest, installation
from analyzer_service.cluster.judging import RunHere, judge
from analyzer_service.cluster.link import Answered, Link
from analyzer_service.cluster.outbox import Outbox, TravelingCall, budget_bytes
from analyzer_service.cluster.remote import RemoteCall
from analyzer_service.cluster.returning import Wait
from analyzer_service.cluster.settings import ClusterSettings
from analyzer_service.workers.pool import PoolWorkers
from analyzer_service.workers.protocol import Outcome, T, Ticket, describe
from analyzer_service.workers.wakeup import Wakeup
from shared.codec import Buffer, join

logger = logging.getLogger(__name__)

_MOST_REASONS: Final = 16
_CANCELLED: Final[Outcome[Any]] = Outcome("cancelled", error="cancelled")


@dataclass
class _Counted:
    chunks: int = 0
    calls: int = 0
    brought_back: int = 0


class ClusterWorkers:
    """`Workers` with a cluster behind them; see `Workers` for the rules.

    Parameters
    ----------
    settings : ClusterSettings
        Where the cluster is.
    local : PoolWorkers
        For everything that cannot travel, and for all while the cluster is lost or has no worker;
        closed with this.
    remote : mapping of callable to RemoteCall
        What stands for a function when it runs there.
    wait : callable
        How the pauses pass after which a lost cluster is asked again.

    Raises
    ------
    ConfigurationError
        If the cluster cannot be reached or has other versions.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        local: PoolWorkers,
        remote: Mapping[Callable[..., Any], RemoteCall],
        *,
        wait: Wait = returning.wait,
    ) -> None:
        self._local = local
        self._remote = remote
        self._tickets = itertools.count(-1, -1)  # the local workers' are above 0
        self._calls: dict[Ticket, TravelingCall] = {}
        self._ended: deque[TravelingCall] = deque()
        self._outbox = Outbox()
        self._counted = _Counted()
        self._wakeup = Wakeup()
        self._closed = False
        self._reasons: set[str] = set()
        try:
            self._link = Link(settings, self._wakeup.set, wait=wait)
        except BaseException:
            self._wakeup.close()
            raise
        self._epoll = select.epoll()
        self._epoll.register(self._wakeup.fileno(), select.EPOLLIN)
        self._epoll.register(local.wakeup_fd, select.EPOLLIN)

    @property
    def size(self) -> int:
        """How many calls run at once, here and there."""
        return self._local.size + self._link.slots

    @property
    def wakeup_fd(self) -> int:
        """Readable while there may be outcomes for `poll`, or calls to be sent by it."""
        return self._epoll.fileno()

    @property
    def budget_bytes(self) -> int:
        """How many bytes of payloads a cluster of this size may have at once."""
        return budget_bytes(self._link.slots)

    def counts(self) -> ClusterCounts:
        """What the workers do now; any thread may ask."""
        here = self._local.counts()
        return ClusterCounts(
            size=self.size,
            processes=here.processes,
            busy=here.busy,
            calls=here.calls + len(self._calls),
            lost=here.lost,
            cluster_slots=self._link.slots,
            cluster_out=self._outbox.chunks,
            cluster_chunks=self._counted.chunks,
            cluster_calls=self._counted.calls,
            brought_back=self._counted.brought_back,
            cluster_lost=self._link.lost,
            cluster_losses=self._link.losses,
        )

    def failing(self) -> bool:
        """Whether no process of this machine can be had, which do what a cluster cannot."""
        return self._local.failing()

    def submit(
        self,
        call: Callable[..., T],
        *args: Any,
        timeout_s: float,
        on_done: Callable[[Outcome[T]], None],
        payload: Sequence[Buffer] | None = None,
        apart: bool = False,
        party: Hashable = None,
    ) -> Ticket:
        """Keep a call that may travel for the next chunk; give any other one to the pool here."""
        remote = self._remote.get(call) if self._link.slots and not apart else None
        if remote is None:
            return self._local.submit(
                call,
                *args,
                timeout_s=timeout_s,
                on_done=on_done,
                payload=payload,
                apart=apart,
                party=party,
            )
        ticket = Ticket(next(self._tickets))
        kept = None if payload is None else join(payload)
        packed = remote.pack_args(*args)
        taken = TravelingCall(ticket, remote, call, args, packed, timeout_s, on_done, kept, party)
        self._calls[ticket] = taken
        self._outbox.put(taken)
        self._wakeup.set()  # it is sent by `poll`, with those that come until then
        return ticket

    def poll(self) -> int:
        """Hand finished outcomes to their `on_done`, on this thread; send what waits."""
        self._wakeup.clear()
        self._take_events()
        ended = len(self._ended)
        count = self._local.poll()
        count -= len(self._ended) - ended  # those that run here for the cluster are counted below
        while self._ended:
            call = self._ended.popleft()
            del self._calls[call.ticket]
            assert call.outcome is not None, "it ended"
            call.on_done(call.outcome)
            count += 1
        self._send()
        return count

    def cancel(self, ticket: Ticket) -> None:
        """End a call, running or not; what the cluster makes of it is not waited for."""
        call = self._calls.get(ticket)
        if call is None:
            self._local.cancel(ticket)
        elif call.local is not None:
            self._local.cancel(call.local)
        elif call.outcome is None:
            self._end(call, _CANCELLED)
            self._wakeup.set()
            for number in self._outbox.drop_ended():
                self._link.cancel(number)

    def close(self, timeout_s: float = 10.0) -> None:
        """Drop what waits and runs, here and there; may be repeated."""
        if self._closed:
            return
        self._closed = True
        self._link.close(timeout_s)
        self._calls.clear()
        self._epoll.close()
        self._local.close(timeout_s)
        self._wakeup.close()

    def _take_events(self) -> None:
        for event in self._link.take():
            if isinstance(event, Answered):
                self._take(event.number, event.answer)
            else:
                self._bring_back(self._outbox.clear(), "the cluster is lost")

    def _take(self, number: int, answer: Answer) -> None:
        calls = self._outbox.back(number)
        if calls is None:
            return
        try:
            if isinstance(answer, BaseException):
                raise answer
            answered = unpack_answered(answer, len(calls))
        except Exception as error:  # the stage's edge: what the cluster cannot do is done here
            self._bring_back(calls, describe(error))
            return
        if answered.refused is not None:
            self._bring_back(calls, answered.refused)
            return
        self._counted.chunks += 1
        self._link.worked()
        for call, each in zip(calls, answered.answers, strict=True):
            self._outbox.gathering.note(call.remote.name, each.took_ms)
            if call.outcome is None:
                self._follow(call, judge(call, each))

    def _follow(self, call: TravelingCall, judged: Outcome[Any] | RunHere) -> None:
        if isinstance(judged, RunHere) and judged.because is not None:
            self._bring_back([call], judged.because)
            return
        self._counted.calls += 1
        if isinstance(judged, RunHere):
            self._run_here(call, judged.function, judged.args)
        else:
            self._end(call, judged)

    def _send(self) -> None:
        """Make chunks of what waits, as long as the cluster has room for them."""
        slots = self._link.slots
        if not slots:
            self._fetch_back()
        while (calls := self._outbox.next_chunk(slots)) is not None:
            asked = AskedChunk(digest(installation()), tuple(map(_asked, calls)))
            try:
                header = pack_asked(asked)
            except (TypeError, ValueError, OverflowError) as error:
                self._bring_back(calls, f"it cannot be sent: {describe(error)}")
                continue
            payloads = [call.payload for call in calls if call.payload is not None]
            self._outbox.sent(self._link.send(header, payloads), calls)

    def _fetch_back(self) -> None:
        for number in self._outbox.numbers:
            self._link.cancel(number)
        self._bring_back(self._outbox.clear(), "it has no worker that can be used")

    def _end(self, call: TravelingCall, outcome: Outcome[Any]) -> None:
        call.outcome = outcome
        self._ended.append(call)

    def _bring_back(self, calls: Sequence[TravelingCall], why: str) -> None:
        """Run here what ran there in vain."""
        if why not in self._reasons and len(self._reasons) < _MOST_REASONS:
            self._reasons.add(why)
            logger.warning("calls come back from the cluster, and run here: %s", why)
        for call in calls:
            if call.outcome is None:
                self._counted.brought_back += 1
                self._run_here(call, call.function, call.args)

    def _run_here(
        self, call: TravelingCall, function: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        call.local = self._local.submit(
            function,
            *args,
            timeout_s=call.timeout_s,
            on_done=partial(self._end, call),
            payload=None if call.payload is None else [call.payload],
            party=call.party,
        )


def _asked(call: TravelingCall) -> AskedCall:
    return AskedCall(call.remote.name, call.packed, call.timeout_s, call.payload is not None)
