"""What the analyzer knows of one connected producer."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from analyzer_service.pipeline import Origin
from analyzer_service.receive.live_run import LiveRun
from shared.codec import Buffer
from shared.messages import BatchFrame
from shared.protocol import Credit, Hello, Ranges
from shared.sequences import RangeSet


@dataclass
class Session:
    """One producer's connection, from its Hello to its FinAck or its silence.

    `run` is None until its first RunStarted. `early` holds frames that overtook it on the
    other socket. What is owed to the producer stays here until ZeroMQ has taken it.
    """

    ctl: bytes
    hello: Hello
    heard_at: float
    bulk: bytes | None = None
    run: LiveRun | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    away: bool = False
    finished: bool = False
    last_cseq: int | None = None
    committed_cseq: int = 0
    ack_due: bool = False
    credit_due: int = 0
    delivered_due: dict[str, RangeSet] = field(default_factory=dict)
    early: list[tuple[BatchFrame, Sequence[Buffer]]] = field(default_factory=list)
    early_bytes: int = 0
    ingest_lag_ms: float | None = None
    beat_at: float = 0.0
    reset_at: float = float("-inf")
    gap: bool = False

    @property
    def origin(self) -> Origin:
        """Which start of which producer it is."""
        return Origin(self.hello.producer, self.hello.incarnation)

    @property
    def identity(self) -> tuple[str, str]:
        """What no two live processes may share."""
        return self.hello.run_id, self.hello.producer

    @property
    def label(self) -> str:
        """Its name for the log."""
        return f"{self.hello.run_name}: {self.hello.producer}"

    @property
    def started(self) -> bool:
        """Whether its RunStarted is known, so that frames have a place to go."""
        return self.received > 0

    @property
    def received(self) -> int:
        """Highest record that came without a gap."""
        return 0 if self.run is None else self.run.next_cseq(self.origin) - 1

    @property
    def waiting_bytes(self) -> int:
        """Frames taken in and not committed yet, in bytes."""
        held = 0 if self.run is None else self.run.waiting_bytes[self.origin]
        return held + self.early_bytes

    def compare(self, last_cseq: int) -> None:
        """Its last record sent, as heartbeats tell: what broke off is to be mended, both ways."""
        self.gap = self.gap or last_cseq > self.received
        self.ack_due = self.committed_cseq > 0

    def end_at(self, last_cseq: int) -> None:
        """Its last record of all, as Fin tells."""
        self.last_cseq, self.finished = last_cseq, False
        self.gap = last_cseq > self.received

    def owe(self, nbytes: int, delivered: dict[str, list[int]]) -> None:
        """Note credit that is to be returned, with the frames that it names."""
        self.credit_due += nbytes
        for stream, numbers in delivered.items():
            ranges = self.delivered_due.setdefault(stream, RangeSet())
            for number in numbers:
                ranges.add(number)

    def credit(self) -> Credit | None:
        """The Credit that is owed, or None."""
        ranges: dict[str, Ranges] = {
            stream: numbers.ranges for stream, numbers in self.delivered_due.items() if numbers
        }
        if not self.credit_due and not ranges:
            return None
        return Credit.model_validate({"credit_bytes": self.credit_due, "delivered": ranges})

    def settle_credit(self) -> None:
        """Forget what was owed: it is on its way."""
        self.credit_due = 0
        self.delivered_due.clear()
