"""The window of critical records: numbered densely, kept until the analyzer has them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from shared.codec import Buffer


@dataclass(slots=True)
class PendingRecord:
    """A record that is not acknowledged yet.

    `captured_at_ns` is when it happened (Unix), `made_at_s` when it got its number (monotonic).
    """

    cseq: int
    parts: list[Buffer]
    captured_at_ns: int
    made_at_s: float
    nbytes: int
    journaled: bool = False


class UnackedWindow:
    """Records in order of their `cseq`, from the first unacknowledged one that is in memory.

    Beyond `budget_bytes` the oldest records that stand in the journal leave memory; they are
    read back when they must be sent again.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._records: deque[PendingRecord] = deque()
        self._next_to_send = 1
        self.next_cseq = 1
        self.acked_cseq = 0
        self.nbytes = 0

    def append(self, parts: list[Buffer], captured_at_ns: int, now_s: float) -> int:
        """Number a record and keep it; return its `cseq`."""
        record = PendingRecord(
            self.next_cseq, parts, captured_at_ns, now_s, sum(len(part) for part in parts)
        )
        self._records.append(record)
        self.nbytes += record.nbytes
        self.next_cseq += 1
        return record.cseq

    def ack(self, cseq: int) -> None:
        """Forget everything up to `cseq`."""
        self.acked_cseq = max(self.acked_cseq, min(cseq, self.next_cseq - 1))
        self._next_to_send = max(self._next_to_send, self.acked_cseq + 1)
        while self._records and self._records[0].cseq <= self.acked_cseq:
            self.nbytes -= self._records.popleft().nbytes

    def resend_from(self, cseq: int) -> None:
        """Send again from `cseq` on (after a reconnection)."""
        self._next_to_send = cseq

    def sent(self, cseq: int) -> None:
        """Note that `cseq` was handed to the socket."""
        self._next_to_send = cseq + 1

    @property
    def full(self) -> bool:
        """Whether memory is over its budget and nothing more can leave it."""
        return self.nbytes > self._budget_bytes

    @property
    def all_acked(self) -> bool:
        """Whether the analyzer has committed every record."""
        return self.acked_cseq == self.next_cseq - 1

    @property
    def next_to_send(self) -> int:
        """The `cseq` that goes next."""
        return self._next_to_send

    @property
    def first_in_memory(self) -> int:
        """The first `cseq` that is held in memory (the next one when none is)."""
        return self._records[0].cseq if self._records else self.next_cseq

    def to_send(self) -> Iterator[PendingRecord]:
        """Records in memory that were not sent yet, in order."""
        for record in tuple(self._records):
            if record.cseq >= self._next_to_send:
                yield record

    def unjournaled(self, *, older_than_s: float) -> Iterator[PendingRecord]:
        """Records made before `older_than_s` (monotonic) that do not stand in the journal."""
        for record in self._records:
            if record.made_at_s > older_than_s:
                return
            if not record.journaled:
                yield record

    def evict(self) -> None:
        """Let journaled records leave memory while it is over its budget."""
        while self._records and self.full and self._records[0].journaled:
            self.nbytes -= self._records.popleft().nbytes
