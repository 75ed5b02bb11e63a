"""The window of critical records: numbered densely, kept until the analyzer has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shared.codec import Buffer

# What a record takes in memory besides its bytes.
OVERHEAD_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class PendingRecord:
    """A record that is not acknowledged yet.

    `captured_at_ns` is when it happened (Unix), `made_at_s` when it got its number (monotonic).
    """

    cseq: int
    parts: list[Buffer]
    captured_at_ns: int
    made_at_s: float
    nbytes: int


class UnackedWindow:
    """Records in order of their `cseq`, from the first unacknowledged one that is in memory.

    Beyond `budget_bytes` the oldest records that stand in the flushed journal leave memory;
    they are read back when they must be sent again. No operation takes longer the more records
    wait. `sent_cseq` is the largest that was ever handed to the socket.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._records: dict[int, PendingRecord] = {}
        self._first = 1
        self._next_to_send = 1
        self._next_to_journal = 1
        self._flushed_cseq = 0
        self._only_in_file = 0
        self.next_cseq = 1
        self.sent_cseq = 0
        self.acked_cseq = 0
        self.nbytes = 0

    def append(self, parts: list[Buffer], captured_at_ns: int, now_s: float) -> int:
        """Number a record and keep it; return its `cseq`."""
        nbytes = sum(len(part) for part in parts) + OVERHEAD_BYTES
        record = PendingRecord(self.next_cseq, parts, captured_at_ns, now_s, nbytes)
        self._records[record.cseq] = record
        self.nbytes += nbytes
        self.next_cseq += 1
        return record.cseq

    def ack(self, cseq: int) -> None:
        """Forget everything up to `cseq`."""
        before = self.acked_cseq
        self.acked_cseq = max(before, min(cseq, self.next_cseq - 1))
        self._only_in_file -= max(0, min(self.acked_cseq, self._first - 1) - before)
        behind = self.acked_cseq + 1
        self._next_to_send = max(self._next_to_send, behind)
        self._next_to_journal = max(self._next_to_journal, behind)
        while self._first < behind:
            self._forget_first()

    def resend_from(self, cseq: int) -> None:
        """Send again from `cseq` on (after a reconnection)."""
        self._next_to_send = cseq

    def sent(self, cseq: int) -> None:
        """Note that `cseq` was handed to the socket."""
        self._next_to_send = cseq + 1
        self.sent_cseq = max(self.sent_cseq, cseq)

    @property
    def full(self) -> bool:
        """Whether memory is over its budget."""
        return self.nbytes > self._budget_bytes

    @property
    def all_acked(self) -> bool:
        """Whether the analyzer has committed every record."""
        return self.acked_cseq == self.next_cseq - 1

    @property
    def pending(self) -> int:
        """Records that are not acknowledged: those in memory, and those that left it."""
        return len(self._records) + self._only_in_file

    @property
    def next_to_send(self) -> int:
        """The `cseq` that goes next."""
        return self._next_to_send

    @property
    def first_in_memory(self) -> int:
        """The first `cseq` that is held in memory (the next one when none is)."""
        return self._first

    def to_send(self) -> Iterator[PendingRecord]:
        """Records in memory that were not sent yet, in order."""
        for cseq in range(max(self._next_to_send, self._first), self.next_cseq):
            yield self._records[cseq]

    def unjournaled(self, *, older_than_s: float) -> Iterator[PendingRecord]:
        """Records made before `older_than_s` (monotonic) that were not written, in order."""
        for cseq in range(self._next_to_journal, self.next_cseq):
            record = self._records[cseq]
            if record.made_at_s > older_than_s:
                return
            yield record

    def written(self, cseq: int) -> None:
        """Note that everything up to `cseq` was written to the journal."""
        self._next_to_journal = max(self._next_to_journal, cseq + 1)

    @property
    def written_cseq(self) -> int:
        """Every record up to this one is acknowledged or was written to the journal."""
        return self._next_to_journal - 1

    def flushed(self) -> None:
        """Note that everything that was written is flushed."""
        self._flushed_cseq = self.written_cseq

    @property
    def flushed_cseq(self) -> int:
        """Every record up to this one is acknowledged or stands in the flushed journal."""
        return self._flushed_cseq

    def evict(self) -> None:
        """Over the budget, let flushed records leave memory until a quarter of it is free."""
        if not self.full:
            return
        last = min(self._flushed_cseq, self.next_cseq - 1)
        while self._first <= last and self.nbytes > 0.75 * self._budget_bytes:
            self._forget_first()
            self._only_in_file += 1

    def forget_unkept(self) -> int:
        """Let go of the records that stand nowhere but in memory; return how many there were.

        For the end of the process: nobody will have them any more, unless the analyzer took
        one without having said so yet.
        """
        behind = max(self.acked_cseq, self._flushed_cseq)
        unkept = [cseq for cseq in self._records if cseq > behind]
        for cseq in unkept:
            self.nbytes -= self._records.pop(cseq).nbytes
        return len(unkept)

    def _forget_first(self) -> None:
        self.nbytes -= self._records.pop(self._first).nbytes
        self._first += 1
