"""Sessions over a list instead of sockets: time is a number, and nothing waits."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from analyzer_service.receive.runs import Runs, RunsSettings
from analyzer_service.receive.seams import SessionSettings
from analyzer_service.receive.sessions import Sessions
from analyzer_service.workers import InlineWorkers
from shared import protocol
from shared.codec import encode
from shared.messages import Message
from shared.transport.server import Channel, Incoming
from tests.analyzer_service.receive.running import STUBS
from tests.builders import START_NS

PEER = b"peer"
HELLO = protocol.Hello(
    run_id="run-0001",
    run_name="demo",
    producer="rank0",
    instance="one",
    incarnation=1,
    next_cseq=1,
)


class Wire:
    """Sessions over a list: what was sent to whom."""

    def __init__(self, output: Path, **limits: float) -> None:
        self.sent: list[tuple[Channel, bytes, protocol.Control]] = []
        self.open = True
        self.wall_ns = START_NS
        self.workers = InlineWorkers()
        self.runs = Runs(self.workers, RunsSettings(output, pipeline=STUBS), lambda: None)
        self.sessions = Sessions(
            self,
            self.runs,
            SessionSettings(**limits),  # type: ignore[arg-type]
            wall_clock_ns=lambda: self.wall_ns,
        )

    def send(self, channel: Channel, peer: bytes, header: bytes) -> bool:
        if self.open:
            self.sent.append((channel, peer, protocol.unpack(header)))
        return self.open

    def say(
        self,
        control: protocol.Control,
        message: Message | None = None,
        *,
        channel: Channel = "ctl",
        peer: bytes = PEER,
        now: float = 0.0,
    ) -> None:
        parts = [] if message is None else encode(message)
        self.sessions.take(channel, Incoming(peer, protocol.pack(control), parts), now)

    def commit(self, now: float = 0.0) -> None:
        for run, committed in self.runs.commit(now, at_once=True):
            self.sessions.committed(run, committed)
        self.sessions.tick(now)

    def answers(self, kind: type[protocol.Control]) -> list[protocol.Control]:
        return [control for _, _, control in self.sent if isinstance(control, kind)]

    def close(self) -> None:
        self.runs.close()
        self.workers.close()


@contextmanager
def wire(output: Path, **limits: float) -> Iterator[Wire]:
    with closing(Wire(output, **limits)) as made:
        yield made
