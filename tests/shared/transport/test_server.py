import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from shared.errors import ConfigurationError
from shared.transport.addresses import Address, parse_address
from shared.transport.server import Incoming, RouterPair
from tests.shared.transport.ports import free_port

DEADLINE_MS = 10_000


@pytest.fixture(params=["tcp", "ipc"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    if request.param == "tcp":
        return parse_address(f"tcp://127.0.0.1:{free_port()}")
    return parse_address(f"ipc://{tmp_path}/a")


@pytest.fixture
def pair(address: Address) -> Iterator[RouterPair]:
    routers = RouterPair(address)
    yield routers
    routers.close()


@pytest.fixture
def dealer() -> Iterator[Callable[[str], "zmq.Socket[bytes]"]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets: list[zmq.Socket[bytes]] = []

    def connect(url: str, routing_id: bytes = b"") -> "zmq.Socket[bytes]":
        made = context.socket(zmq.DEALER)
        made.setsockopt(zmq.LINGER, 0)
        if routing_id:
            made.setsockopt(zmq.ROUTING_ID, routing_id)
        made.connect(url)
        sockets.append(made)
        return made

    yield connect
    for made in sockets:
        made.close()
    context.term()


def take(pair: RouterPair, channel: str, limit: int = 100) -> list[Incoming]:
    assert pair.poll(DEADLINE_MS)
    return pair.receive(channel, limit)  # type: ignore[arg-type]


def fill(client: "zmq.Socket[bytes]") -> None:
    try:
        while True:
            client.send(b"more", zmq.DONTWAIT)
    except zmq.Again:
        return


def test_bytes_come_through_both_sockets_and_an_answer_goes_back(pair, address, dealer) -> None:
    for channel, url in (("ctl", address.ctl), ("bulk", address.bulk)):
        client = dealer(url, b"peer")
        client.send_multipart([b"header", b"one", b"", b"two" * 1000])
        (message,) = take(pair, channel)
        assert (message.peer, bytes(message.header)) == (b"peer", b"header")
        assert b"".join(message.parts) == b"one" + b"two" * 1000
        assert pair.send(channel, message.peer, b"answer")
        assert client.poll(DEADLINE_MS)
        assert client.recv_multipart() == [b"answer"]


def test_at_most_limit_messages_are_taken_and_peers_take_turns(pair, address, dealer) -> None:
    busy, quiet = dealer(address.ctl, b"busy"), dealer(address.ctl, b"quiet")
    for channel_peer in (busy, quiet):
        channel_peer.send(b"ready")
    seen = set()
    while len(seen) < 2:
        seen |= {message.peer for message in take(pair, "ctl")}
    fill(busy)
    quiet.send(b"one")
    turn: list[bytes] = []
    while b"quiet" not in turn:
        messages = take(pair, "ctl", 10)
        assert len(messages) <= 10
        turn += [message.peer for message in messages]
    assert len(turn) < 4096, "the busy peer's full queue went first"


def test_a_send_to_nobody_returns_false(pair) -> None:
    assert pair.send("ctl", b"nobody", b"x") is False
    assert pair.send("bulk", b"nobody", b"x") is False


def test_a_peer_that_does_not_read_never_blocks_a_send(pair, address, dealer) -> None:
    client = dealer(address.ctl, b"deaf")
    client.setsockopt(zmq.RCVHWM, 1)
    client.send(b"hello")
    take(pair, "ctl")
    sent = [pair.send("ctl", b"deaf", bytes(1 << 16)) for _ in range(8000)]
    assert sent[0] is True
    assert sent[-1] is False


def test_receive_without_messages_is_empty_at_once(pair) -> None:
    assert pair.receive("ctl", 10) == []
    assert pair.receive("bulk", 10) == []


def test_poll_returns_for_a_watched_descriptor(pair) -> None:
    reader, writer = os.pipe()
    pair.watch(reader)
    assert pair.poll(0) is False
    os.write(writer, b"x")
    assert pair.poll(DEADLINE_MS) is True
    pair.unwatch(reader)
    assert pair.poll(0) is False
    os.close(reader)
    os.close(writer)


def test_bytes_that_are_not_zeromq_leave_the_sockets_working(dealer) -> None:
    port = free_port()
    address = parse_address(f"tcp://127.0.0.1:{port}")
    pair = RouterPair(address)
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\xff" + bytes(8) + b"\x7f"):
        for listening in (port, port + 1):
            with socket.create_connection(("127.0.0.1", listening)) as raw:
                raw.sendall(garbage)
    dealer(address.bulk, b"peer").send_multipart([b"header", b"body"])
    # Bytes that start with a length are a message of ZMTP 1.0, so some of the garbage comes, too.
    while b"peer" not in [message.peer for message in take(pair, "bulk")]:
        pass
    pair.close()


@pytest.mark.parametrize("taken", [0, 1])
def test_a_port_in_use_is_named_and_nothing_stays_bound(taken: int) -> None:
    port = free_port()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port + taken))
        holder.listen()
        with pytest.raises(ConfigurationError, match=f":{port + taken}: it is in use.*--bind"):
            RouterPair(parse_address(f"tcp://127.0.0.1:{port}"))
    RouterPair(parse_address(f"tcp://127.0.0.1:{port}")).close()


def test_localhost_is_the_loopback(dealer) -> None:
    port = free_port()
    pair = RouterPair(parse_address(f"tcp://localhost:{port}"))
    dealer(f"tcp://127.0.0.1:{port}", b"peer").send(b"x")
    assert take(pair, "ctl")[0].peer == b"peer"
    pair.close()


def test_an_address_of_another_machine_is_refused() -> None:
    # 192.0.2.0/24 is kept for documentation (RFC 5737): no machine has it.
    with pytest.raises(ConfigurationError, match="no such address"):
        RouterPair(parse_address("tcp://192.0.2.1:5555"))


def test_the_path_of_a_live_server_is_not_taken(tmp_path: Path, dealer) -> None:
    address = parse_address(f"ipc://{tmp_path}/a")
    first = RouterPair(address)
    with pytest.raises(ConfigurationError, match="in use"):
        RouterPair(address)
    dealer(address.ctl, b"peer").send(b"x")
    assert take(first, "ctl")[0].peer == b"peer"
    first.close()


def test_the_path_of_a_dead_server_is_taken_and_removed_at_close(tmp_path: Path) -> None:
    address = parse_address(f"ipc://{tmp_path}/a")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/a.ctl")
    pair = RouterPair(address)
    assert sorted(os.listdir(tmp_path)) == ["a.bulk", "a.ctl"]
    pair.close()
    assert os.listdir(tmp_path) == []


def test_a_plain_file_at_the_path_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.bulk").write_text("mine")
    with pytest.raises(ConfigurationError, match="no socket"):
        RouterPair(parse_address(f"ipc://{tmp_path}/a"))
    assert (tmp_path / "a.bulk").read_text() == "mine"
    assert os.listdir(tmp_path) == ["a.bulk"]


@pytest.mark.parametrize(
    ("path", "said"), [("missing/a", "its folder is not there"), ("x" * 200, "too long")]
)
def test_an_impossible_path_is_explained(tmp_path: Path, path: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        RouterPair(parse_address(f"ipc://{tmp_path}/{path}"))
