"""An analyzer's sockets driven step by step by a test, written against the protocol only."""

import time
from collections.abc import Callable

import zmq

from shared.codec import decode
from shared.messages import BatchFrame, Message
from shared.protocol import (
    Ack,
    Control,
    Credit,
    Fin,
    FinAck,
    Frame,
    Hello,
    Record,
    Welcome,
    pack,
    unpack,
)

DEADLINE_S = 15.0


class ScriptedAnalyzer:
    """Two bound ROUTERs and a memory of what came."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._poller = zmq.Poller()
        self._ctl = self._bind(f"{endpoint}.ctl")
        self._bulk = self._bind(f"{endpoint}.bulk")
        self.peer = b""
        self.hellos: list[Hello] = []
        self.records: list[tuple[int, Message]] = []
        self.frames: list[tuple[str, int, BatchFrame]] = []
        self.finished: Fin | None = None

    def _bind(self, url: str) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(url)
        self._poller.register(socket, zmq.POLLIN)
        return socket

    def until(self, condition: Callable[[], object]) -> None:
        """Take what comes until `condition` holds; fail after 15 s."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline_s, f"waited in vain; records {len(self.records)}"
            for socket, _ in self._poller.poll(20):
                self._take(socket)

    def tell(self, control: Control) -> None:
        self._ctl.send_multipart([self.peer, pack(control)])

    def welcome(self, **fields: object) -> None:
        self.tell(Welcome.model_validate({"committed_cseq": 0, "token": "t", **fields}))

    def confirm_frames(self) -> None:
        ranges: dict[str, list[tuple[int, int]]] = {}
        for stream, fseq, _ in self.frames:
            ranges.setdefault(stream, []).append((fseq, fseq))
        self.tell(Credit.model_validate({"credit_bytes": 0, "delivered": ranges}))

    def ack_all(self) -> None:
        self.tell(Ack(cseq=max(cseq for cseq, _ in self.records)))

    def finack(self) -> None:
        self.tell(FinAck())

    def close(self) -> None:
        self._context.destroy(linger=0)

    def _take(self, socket: "zmq.Socket[bytes]") -> None:
        peer, header, *parts = socket.recv_multipart()
        match unpack(header):
            case Hello() as hello:
                self.peer = peer
                self.hellos.append(hello)
            case Record() as record:
                self.records.append((record.cseq, decode(parts)))
            case Frame() as frame:
                message = decode(parts)
                assert isinstance(message, BatchFrame)
                self.frames.append((frame.stream, frame.fseq, message))
            case Fin() as fin:
                self.finished = fin
