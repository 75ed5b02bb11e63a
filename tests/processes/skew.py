"""Both ends of the wire in msgpack and ZeroMQ alone: nothing here is of the version at hand.

`Producer` says what a file holds that another version wrote; `Analyzer` answers as another
version would.
"""

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgpack
import zmq

CONVERSATIONS = Path(__file__).parents[1] / "shared" / "golden" / "conversations"
DEADLINE_S = 60.0
Fields = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One message of a socket: a control header, and the parts behind it."""

    channel: Literal["ctl", "bulk"]
    parts: tuple[bytes, ...]

    @property
    def header(self) -> Fields:
        """The control header."""
        return unpacked(self.parts[0])

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.header["kind"])


def unpacked(part: bytes) -> Fields:
    """A map of msgpack."""
    fields: Fields = msgpack.unpackb(part)
    return fields


def conversation(name: str) -> list[Said]:
    """What a producer said in a whole run, as a file under `CONVERSATIONS` holds it."""
    _, *blocks = (CONVERSATIONS / f"{name}.txt").read_text("ascii").strip().split("\n\n")
    said = []
    for block in blocks:
        channel, _, text = block.partition("\n")
        parts = tuple(bytes.fromhex(part) for part in text.split("\n-\n"))
        said.append(Said(channel, parts))  # type: ignore[arg-type]
    return said


def as_newer_minor(said: Iterable[Said]) -> list[Said]:
    """The same from a producer of version 1.99: fields that nobody knows yet, at every level."""
    return [Said(each.channel, tuple(_newer(each))) for each in said]


def _newer(said: Said) -> list[bytes]:
    header = said.header | {"tomorrow": {"deep": [1, None, "x"]}}
    if header["kind"] == "hello":
        header |= {"protocol": [1, 99], "schema_version": [1, 99]}
    if len(said.parts) == 1:
        return [msgpack.packb(header)]
    message = unpacked(said.parts[1])
    message |= {"v": [1, 99], "tomorrow": 7, "m": message["m"] | {"tomorrow": [1, 2.5]}}
    arrays = list(said.parts[2:])
    if header["kind"] == "frame":
        message["a"] = [*message["a"], ["saliency/bam_2", "|u1", [2, 2], 4]]
        arrays.append(b"\0\1\2\3")
    return [msgpack.packb(header), msgpack.packb(message), *arrays]


class Producer:
    """Two DEALERs that say what they are told, and what came back on `ctl`."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.rpartition(":")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        identity = b"s" + secrets.token_bytes(16)
        self._sockets = {
            "ctl": self._connect(f"{host}:{port}", identity),
            "bulk": self._connect(f"{host}:{int(port) + 1}", identity),
        }
        self.heard: list[Fields] = []

    def say(self, said: Said, *, token: str | None = None) -> None:
        """Send; in an Attach, the token that the analyzer gave takes the place of the file's."""
        parts = list(said.parts)
        if token is not None:
            parts[0] = msgpack.packb(said.header | {"token": token})
        self._sockets[said.channel].send_multipart(parts)

    def expect(self, kind: str, accept: Callable[[Fields], bool] = lambda _: True) -> Fields:
        """The next answer of `kind` that `accept` takes."""
        until_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < until_s:
            for answer in self.heard:
                if answer["kind"] == kind and accept(answer):
                    self.heard.remove(answer)
                    return answer
            self._listen()
        raise AssertionError(f"no {kind} came, only {self.heard}")

    def say_all(self, whole: list[Said]) -> None:
        """A whole run, from the Hello to the FinAck."""
        for said in whole:
            if said.kind == "attach":
                self.say(said, token=self.expect("welcome")["token"])
                continue
            if said.kind == "frame":  # which mean nothing before the run is known
                self._expect_acks(whole)
            if said.kind == "fin":
                self._expect_frames(whole)
            self.say(said)
        self.expect("finack")

    def close(self) -> None:
        self._context.destroy(linger=0)

    def _expect_acks(self, whole: list[Said]) -> None:
        last = max(said.header["cseq"] for said in whole if said.kind == "record")
        if not any(answer["kind"] == "ack" and answer["cseq"] == last for answer in self.heard):
            self.heard.append(self.expect("ack", lambda ack: bool(ack["cseq"] == last)))

    def _expect_frames(self, whole: list[Said]) -> None:
        headers = [said.header for said in whole if said.kind == "frame"]
        awaited = {(header["stream"], header["fseq"]) for header in headers}
        while awaited:
            for stream, ranges in self.expect("credit")["delivered"].items():
                for first, last in ranges:
                    awaited -= {(stream, fseq) for fseq in range(first, last + 1)}

    def _listen(self) -> None:
        if self._sockets["ctl"].poll(100):
            (header,) = self._sockets["ctl"].recv_multipart()
            self.heard.append(unpacked(header))

    def _connect(self, url: str, identity: bytes) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.ROUTING_ID, identity)
        socket.connect(url)
        return socket


class Analyzer:
    """Two ROUTERs that take everything and answer what `answer` says, by kind of header.

    `answer` gives the fields of an answer for a header, or None; bytes are sent as they are.
    """

    def __init__(self, endpoint: str, answer: Callable[[Fields], Iterable[Fields | bytes]]) -> None:
        host, _, port = endpoint.rpartition(":")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._answer = answer
        self._poller = zmq.Poller()
        self._ctl = self._bind(f"{host}:{port}")
        self._bulk = self._bind(f"{host}:{int(port) + 1}")
        self._peer = b""
        self.headers: list[Fields] = []

    def until(self, condition: Callable[[], object]) -> None:
        """Take what comes and answer it, until `condition` holds."""
        until_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < until_s, self.headers[-5:]
            for socket, _ in self._poller.poll(50):
                self._take(socket)

    def close(self) -> None:
        self._context.destroy(linger=0)

    def _take(self, socket: "zmq.Socket[bytes]") -> None:
        peer, header, *_ = socket.recv_multipart()
        fields = unpacked(header)
        if fields["kind"] == "hello":
            self._peer = peer
        self.headers.append(fields)
        for answer in self._answer(fields):
            part = answer if isinstance(answer, bytes) else msgpack.packb(answer)
            self._ctl.send_multipart([self._peer, part])

    def _bind(self, url: str) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(url)
        self._poller.register(socket, zmq.POLLIN)
        return socket
