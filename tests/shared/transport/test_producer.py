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


def test_a_flood_is_taken_in_turns_and_of_messages_only_their_header(tmp_path: Path) -> None:
    context = zmq.Context()
    ctl = context.socket(zmq.ROUTER)
    ctl.setsockopt(zmq.LINGER, 0)
    ctl.bind(f"ipc://{tmp_path}/a.ctl")
    sockets = ProducerSockets(parse_address(f"ipc://{tmp_path}/a"))
    try:
        sockets.reopen()
        deadline_s = time.monotonic() + DEADLINE_S
        while not sockets.send("ctl", [b"here"]):
            assert time.monotonic() < deadline_s
        peer, _ = ctl.recv_multipart()
        for number in range(500):
            ctl.send_multipart([peer, b"%d" % number, *[b"more"] * 20])
        taken: list[bytes] = []
        while len(taken) < 500:
            headers = sockets.receive(100)
            assert len(headers) <= 64
            assert time.monotonic() < deadline_s
            taken += headers
        assert taken == [b"%d" % number for number in range(500)]
        sockets.shut()
        began_s = time.monotonic()
        assert sockets.receive(50) == []
        assert time.monotonic() - began_s >= 0.05, "nothing to watch is no reason to spin"
    finally:
        sockets.close()
        context.destroy(linger=0)


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
