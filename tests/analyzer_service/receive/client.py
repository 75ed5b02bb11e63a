"""A producer made of two bare DEALER sockets, that does exactly what a test says."""

import secrets
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

import zmq

from shared import protocol
from shared.codec import Buffer, encode, join
from shared.messages import BatchFrame, CriticalMessage, RunStarted
from shared.transport.addresses import Address

DEADLINE_S = 10.0
C = TypeVar("C", bound=protocol.Control)


class Client:
    """One producer; `answers` holds what the analyzer said and no test has asked for."""

    def __init__(self, address: Address, started: RunStarted, **hello: object) -> None:
        self.address = address
        self.started = started
        self.instance = str(hello.pop("instance", secrets.token_hex(4)))
        self._hello = hello
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.answers: list[protocol.Control] = []
        self.delivered: set[tuple[str, int]] = set()
        self.credit_returned = 0
        self.connect()

    def connect(self) -> None:
        """Both sockets, under a new routing id."""
        routing_id = b"t" + secrets.token_bytes(16)
        self.ctl = self._dealer(self.address.ctl, routing_id)
        self.bulk = self._dealer(self.address.bulk, routing_id)

    def disconnect(self) -> None:
        self.ctl.close(linger=0)
        self.bulk.close(linger=0)

    def say(self, control: protocol.Control, parts: Iterable[Buffer] = ()) -> None:
        self.ctl.send_multipart([protocol.pack(control), *parts])

    def hello(self, **overrides: object) -> None:
        fields = {
            "run_id": self.started.run_id,
            "run_name": self.started.run_name,
            "producer": self.started.producer,
            "incarnation": self.started.incarnation,
            "instance": self.instance,
            "next_cseq": 1,
        }
        self.say(protocol.Hello.model_validate(fields | self._hello | overrides))

    def greet(self, **overrides: object) -> protocol.Welcome:
        """Hello, Welcome, Attach."""
        self.hello(**overrides)
        welcome = self.expect(protocol.Welcome)
        self.attach(welcome.token)
        return welcome

    def attach(self, token: str) -> None:
        self.bulk.send(protocol.pack(protocol.Attach(token=token)))

    def record(self, cseq: int, message: CriticalMessage) -> None:
        self.say(protocol.Record(cseq=cseq), encode(message))

    def records(self, messages: Iterable[CriticalMessage], *, first: int = 1) -> int:
        """Send all; return the last cseq."""
        cseq = first - 1
        for cseq, message in enumerate(messages, start=first):
            self.record(cseq, message)
        return cseq

    def frame(self, frame: BatchFrame) -> int:
        """Send a frame; return what it costs."""
        header = protocol.Frame(stream=frame.stream, fseq=frame.fseq)
        self.bulk.send_multipart([protocol.pack(header), *encode(frame)])
        return len(join(encode(frame)))

    def expect(
        self, kind: type[C] | tuple[type[C], ...], accept: Callable[[C], bool] = lambda _: True
    ) -> C:
        """The next answer of `kind` that `accept` takes."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            for answer in self.answers:
                if isinstance(answer, kind) and accept(answer):
                    self.answers.remove(answer)
                    return answer
            left = deadline - time.monotonic()
            assert left > 0, f"no {kind} came, only {self.answers}"
            self.listen(left)

    def expect_ack(self, cseq: int) -> None:
        self.expect(protocol.Ack, lambda ack: ack.cseq >= cseq)

    def expect_delivered(self, frames: Iterable[tuple[str, int]]) -> None:
        wanted = set(frames)
        while not wanted <= self.delivered:
            self.expect(protocol.Credit)

    def listen(self, timeout_s: float = 0.0) -> None:
        """Take in what comes within `timeout_s`, from either socket."""
        poller = zmq.Poller()
        poller.register(self.ctl, zmq.POLLIN)
        poller.register(self.bulk, zmq.POLLIN)
        for socket, _ in poller.poll(1000 * timeout_s):
            (header,) = socket.recv_multipart()
            answer = protocol.unpack(header)
            self.answers.append(answer)
            if isinstance(answer, protocol.Credit):
                self.credit_returned += answer.credit_bytes
                for stream, ranges in answer.delivered.items():
                    for first, last in ranges:
                        self.delivered |= {(stream, fseq) for fseq in range(first, last + 1)}

    def heard(self, kind: type[protocol.Control]) -> bool:
        """Whether an answer of `kind` is there already."""
        self.listen()
        return any(isinstance(answer, kind) for answer in self.answers)

    def close(self) -> None:
        self.disconnect()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _dealer(self, url: str, routing_id: bytes) -> "zmq.Socket[bytes]":
        dealer = self._context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.ROUTING_ID, routing_id)
        dealer.connect(url)
        return dealer
