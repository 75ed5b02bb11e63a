"""What sessions need of sockets and of runs, and their limits."""

from dataclasses import dataclass
from typing import Protocol

from analyzer_service.receive.live_run import LiveRun
from shared.messages import RunStarted
from shared.protocol import DEFAULT_CREDIT_BYTES, HEARTBEAT_INTERVAL_S, SILENCE_LIMIT_S
from shared.transport.server import Channel


class Sender(Protocol):
    """The part of `shared.transport.server.RouterPair` that sessions use."""

    def send(self, channel: Channel, peer: bytes, header: bytes) -> bool:
        """Hand over a control header, without waiting; False when it cannot go."""
        ...


class RunDirectory(Protocol):
    """Finds and opens runs; the part of `analyzer_service.receive.runs.Runs` used here."""

    def known(self, run_id: str, run_name: str) -> LiveRun | None:
        """Run that is open or stands in a folder."""
        ...

    def open(self, started: RunStarted) -> LiveRun:
        """Run of a RunStarted."""
        ...

    def folder_of(self, run_name: str) -> str:
        """Path of a run's folder."""
        ...


@dataclass(frozen=True)
class SessionSettings:
    """Times in seconds; `credit_bytes` is what one producer may have on its way.

    A producer that is silent for `silence_limit_s` is away, for `producer_timeout_s` lost.
    Beyond `max_producers` at a time, a further one is refused.
    """

    silence_limit_s: float = SILENCE_LIMIT_S
    heartbeat_interval_s: float = HEARTBEAT_INTERVAL_S
    producer_timeout_s: float = 30.0
    credit_bytes: int = DEFAULT_CREDIT_BYTES
    max_producers: int = 256
