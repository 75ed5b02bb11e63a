"""A producer's sockets over a real connection: what they hold, and what they let go."""

import time
from pathlib import Path

import zmq

from shared.transport.addresses import parse_address
from shared.transport.producer import ProducerSockets

DEADLINE_S = 15.0


def send(sockets: ProducerSockets, *parts: bytes) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not sockets.send("bulk", parts):
        assert time.monotonic() < deadline_s, "nobody connects"
        time.sleep(0.005)


def test_a_renewed_channel_forgets_what_it_held_and_has_a_new_name(tmp_path: Path) -> None:
    context = zmq.Context()
    bulk = context.socket(zmq.ROUTER)
    bulk.setsockopt(zmq.LINGER, 0)
    bulk.bind(f"ipc://{tmp_path}/a.bulk")
    sockets = ProducerSockets(parse_address(f"ipc://{tmp_path}/a"))
    try:
        sockets.reopen()
        send(sockets, b"first")
        before, _ = bulk.recv_multipart()
        sockets.renew("bulk")
        send(sockets, b"second")
        after, word = bulk.recv_multipart()
        assert word == b"second"
        assert after != before
        sockets.renew("ctl")  # nothing was sent on it
        send(sockets, b"third")
        assert bulk.recv_multipart() == [after, b"third"]
    finally:
        sockets.close()
        context.destroy(linger=0)
