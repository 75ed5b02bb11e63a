"""Peers of an analyzer that send what is no message, hold connections, or never listen."""

import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import zmq

from shared.protocol import Attach, Heartbeat, Welcome, pack, unpack
from tests.processes.fuzzing import GIB, HELLO, claims_a_gib, from_producer

HOST: Final = "127.0.0.1"
# One that sends 1000 messages in vain is not read any more for 10 s: a new peer comes then.
_MESSAGES_A_PEER: Final = 800
_SEND_LIMIT_MS: Final = 20_000
_LEAVE_MS: Final = 5000
# https://rfc.zeromq.org/spec/23: the greeting of a peer without security, and READY.
_GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_READY: Final = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"


class HostilePeer:
    """Two DEALERs with a session of their own, so that what they send is looked at closely."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", port: int, name: str) -> None:
        self.sockets = [_dealer(context, port), _dealer(context, port + 1)]
        ctl, bulk = self.sockets
        ctl.send(pack(HELLO.model_copy(update={"run_id": name, "run_name": name})))
        while not isinstance(welcome := unpack(ctl.recv()), Welcome):
            continue
        bulk.send(pack(Attach(token=welcome.token)))

    def close(self) -> None:
        """Leave, once everything has left."""
        for each in self.sockets:
            each.close()


def throw_messages(port: int, count: int, seed: int) -> int:
    """Send `count` fuzzed messages to `port` and the next one in turns; the bytes of all.

    Every hundredth claims an array of 1 GiB.
    """
    generator = random.Random(seed)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    peer, nbytes = None, 0
    for number in range(count):
        if number % _MESSAGES_A_PEER == 0:
            if peer is not None:
                peer.close()
            peer = HostilePeer(context, port, f"hostile-{seed}-{number}")
        assert peer is not None
        parts = claims_a_gib() if number % 100 == 0 else from_producer(generator)
        peer.sockets[number % 2].send_multipart(parts)
        nbytes += sum(map(len, parts))
    if peer is not None:
        peer.close()
    context.term()
    return nbytes


def throw_bytes(port: int, count: int, seed: int) -> None:
    """Random bytes on `count` plain connections to each of `port` and the next one."""
    generator = random.Random(seed)
    for number in (port, port + 1):
        for _ in range(count):
            with socket.create_connection((HOST, number)) as plain, suppress(OSError):
                plain.sendall(generator.randbytes(generator.randrange(1, 50_000)))


@contextmanager
def claiming_a_gib(port: int) -> Iterator[socket.socket]:
    """A ZMTP connection that has announced a part of 1 GiB and sent a little of it."""
    with socket.create_connection((HOST, port)) as plain:
        plain.settimeout(10)
        plain.sendall(_GREETING)
        plain.sendall(b"\x04" + bytes([len(_READY)]) + _READY)
        plain.sendall(b"\x02" + struct.pack(">Q", GIB) + b"x" * 1000)
        yield plain


@contextmanager
def half_open(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that say nothing."""
    silent = [socket.create_connection((HOST, port)) for _ in range(count)]
    try:
        yield silent
    finally:
        for each in silent:
            each.close()


def is_cut(connection: socket.socket) -> bool:
    """Whether the other side has closed; ZeroMQ's greeting may come first."""
    connection.setblocking(False)
    try:
        while connection.recv(1000):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


def never_read(port: int, lasting_s: float) -> int:
    """Ask without end and take no answer; how many questions there were."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    ctl = context.socket(zmq.DEALER)
    for option, value in ((zmq.LINGER, 0), (zmq.RCVHWM, 1), (zmq.RCVBUF, 4096)):
        ctl.setsockopt(option, value)
    ctl.connect(f"tcp://{HOST}:{port}")
    ctl.send(pack(HELLO.model_copy(update={"run_id": "deaf", "run_name": "deaf"})))
    asked, until_s = 0, time.monotonic() + lasting_s
    while time.monotonic() < until_s:
        hello = HELLO.model_copy(update={"run_id": "deaf", "run_name": "deaf"})
        for control in (Heartbeat(last_cseq=5), hello):
            with suppress(zmq.Again):
                ctl.send(pack(control), flags=zmq.DONTWAIT)
                asked += 1
        time.sleep(0.0005)
    ctl.close()
    context.term()
    return asked


def _dealer(context: "zmq.Context[zmq.Socket[bytes]]", port: int) -> "zmq.Socket[bytes]":
    dealer = context.socket(zmq.DEALER)
    for option, value in (
        (zmq.LINGER, _LEAVE_MS),
        (zmq.SNDTIMEO, _SEND_LIMIT_MS),
        (zmq.RCVTIMEO, _SEND_LIMIT_MS),
    ):
        dealer.setsockopt(option, value)
    dealer.connect(f"tcp://{HOST}:{port}")
    return dealer
