"""The same bytes by nobody's protocol: PUSH to a PULL in another process, nothing answered.

What is missing beside a run: decoding, workers, a database, acknowledgments, resending. It is the
most that any protocol over these sockets can reach, with and without CURVE.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import zmq

from shared.codec import Buffer

_LARGE_BYTES: Final = 1 << 16


@dataclass(frozen=True)
class PlainRate:
    """Seconds until all was received, and processor seconds of the two processes."""

    seconds: float
    sender_cpu_s: float
    receiver_cpu_s: float


def push(url: str, parts: Sequence[Buffer], count: int, *, curve: bool) -> PlainRate:
    """Send `parts` `count` times; keys are made for this once."""
    server = zmq.curve_keypair()
    keys = [key.decode() for key in server] if curve else []
    command = [sys.executable, __file__, url, str(count), *keys]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as receiver,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as socket,
    ):
        assert receiver.stdout is not None
        receiver.stdout.readline()
        socket.setsockopt(zmq.SNDHWM, 16 if max(map(len, parts)) >= _LARGE_BYTES else 4096)
        if curve:
            socket.curve_serverkey = server[0]
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.connect(url)
        socket.send_multipart(parts)
        receiver.stdout.readline()
        began, cpu_s = time.perf_counter(), time.process_time()
        for _ in range(count):
            socket.send_multipart(parts)
        receiver_cpu_s = float(receiver.stdout.readline())
        return PlainRate(time.perf_counter() - began, time.process_time() - cpu_s, receiver_cpu_s)


def pull(url: str, count: int, keys: Sequence[str]) -> None:
    """Take one message, then `count` more, and print the processor seconds of those."""
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        if keys:
            socket.curve_server = True
            socket.curve_publickey, socket.curve_secretkey = (key.encode() for key in keys)
        socket.bind(url)
        print("listening", flush=True)
        socket.recv_multipart(copy=False)
        cpu_s = time.process_time()
        print("connected", flush=True)
        for _ in range(count):
            socket.recv_multipart(copy=False)
        print(time.process_time() - cpu_s, flush=True)


if __name__ == "__main__":
    pull(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
