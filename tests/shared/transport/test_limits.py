"""What one peer can take up: connections of a port, parts and bytes of messages."""

import socket
from collections.abc import Iterator

import pytest
import zmq

from shared.codec import MAX_ARRAYS
from shared.transport.addresses import Address, parse_address
from shared.transport.server import RouterPair
from tests.shared.transport.ports import free_port
from tests.shared.transport.waiting import until

MOST = 4
DEADLINE_MS = 10_000


@pytest.fixture
def address() -> Address:
    return parse_address(f"tcp://127.0.0.1:{free_port()}")


@pytest.fixture
def pair(address: Address) -> Iterator[RouterPair]:
    routers = RouterPair(address, most_connections=MOST)
    yield routers
    routers.close()


@pytest.fixture
def dealer(address: Address) -> Iterator["zmq.Socket[bytes]"]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made = context.socket(zmq.DEALER)
    made.setsockopt(zmq.ROUTING_ID, b"peer")
    made.setsockopt(zmq.LINGER, 0)
    yield made
    made.close()
    context.term()


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


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_what_comes_to_a_full_port_is_cut_until_there_is_room(
    pair, address, dealer, caplog
) -> None:
    port = port_of(address.ctl)
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST)]
    late = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    assert until(lambda: not pair.poll(10) and all(map(is_cut, late)), DEADLINE_MS)
    assert not any(map(is_cut, held)), "those that were there first stay"
    dealer.connect(address.bulk)
    dealer.send(b"the other port has room")
    assert pair.poll(DEADLINE_MS)
    dealer.connect(address.ctl)
    for connection in held + late:
        connection.close()

    def heard() -> bool:
        dealer.send(b"again")
        pair.poll(100)
        return bool(pair.receive("ctl", 10))

    assert until(heard, DEADLINE_MS)
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"{address.ctl} has {MOST} connections: further ones are cut"]


def test_connections_that_come_and_go_do_not_use_it_up(pair, address, caplog) -> None:
    for _ in range(5 * MOST):
        socket.create_connection(("127.0.0.1", port_of(address.ctl))).close()
        until(lambda: pair.poll(1), 5)
    assert not caplog.records


def test_too_many_parts_are_no_message_and_the_next_one_is(pair, address, dealer) -> None:
    dealer.connect(address.ctl)
    most = [b"header", b"message", *[b"array"] * MAX_ARRAYS]
    dealer.send_multipart([*most, b"one more"])
    dealer.send_multipart([b"x"] * 100_000)
    dealer.send_multipart(most)
    seen = []
    while len(seen) < 3:
        assert pair.poll(DEADLINE_MS)
        seen += pair.receive("ctl", 10)
    assert [(m.peer, bytes(m.header), len(m.parts), m.excess) for m in seen] == [
        (b"peer", b"", 0, 1),
        (b"peer", b"", 0, 100_001 - len(most) - 1),
        (b"peer", b"header", MAX_ARRAYS + 1, 0),
    ]


def test_large_messages_are_taken_a_few_at_a_time(pair, address, dealer) -> None:
    dealer.connect(address.bulk)
    body = bytes(40 << 20)
    for _ in range(4):
        dealer.send_multipart([b"header", body], copy=False)
    sizes: list[int] = []
    while sum(sizes) < 4:
        assert pair.poll(DEADLINE_MS)
        sizes.append(len(pair.receive("bulk", 32)))
    assert max(sizes) <= 2, "the second one brings it past 64 MiB"


def test_messages_of_many_parts_are_taken_a_few_at_a_time(pair, address, dealer) -> None:
    dealer.connect(address.ctl)
    for _ in range(20):
        dealer.send_multipart([b"x"] * 2000)
    counts: list[int] = []
    while sum(counts) < 20:
        assert pair.poll(DEADLINE_MS)
        counts.append(len(pair.receive("ctl", 512)))
    assert max(counts) <= 5, "the fifth one brings them past 8192 parts"
