import os
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from analyzer_service.workers.channel import Channel


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


@pytest.mark.parametrize("nbytes", [0, 1, 5_000_000])
def test_messages_come_whole_and_in_order(
    ends: tuple[socket.socket, socket.socket], nbytes: int
) -> None:
    near, far = map(Channel, ends)
    sent = os.urandom(nbytes)
    thread = threading.Thread(target=lambda: (near.send(sent), near.send(b"next")))
    thread.start()
    assert far.receive() == (sent, None)
    assert far.receive() == (b"next", None)
    thread.join()


def test_a_descriptor_comes_with_its_message(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = map(Channel, ends)
    reading, writing = os.pipe()
    near.send(b"plain")
    near.send(b"with a pipe", writing)
    near.send(b"plain again")
    os.close(writing)
    assert far.receive() == (b"plain", None)
    data, fd = far.receive()
    assert data == b"with a pipe"
    assert fd is not None
    assert far.receive() == (b"plain again", None)
    os.write(fd, b"through")
    os.close(fd)
    assert os.read(reading, 100) == b"through"
    os.close(reading)


def test_waiting_ends_with_a_message_or_with_the_other_end(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = map(Channel, ends)
    assert not far.poll(0.01)
    near.send(b"x")
    assert far.poll(10.0)
    assert far.receive().data == b"x"
    near.close()
    assert far.poll(10.0)
    with pytest.raises(EOFError):
        far.receive()


@pytest.mark.parametrize("came", [b"", b"\0" * 5, struct.pack("<QB", 10, 0) + b"five."])
def test_a_torn_message_is_an_error(ends: tuple[socket.socket, socket.socket], came: bytes) -> None:
    near, far = ends
    near.sendall(came)
    near.close()
    with pytest.raises(EOFError):
        Channel(far).receive()


def test_a_descriptor_that_did_not_arrive_is_an_error(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    near.sendall(struct.pack("<QB", 0, 1))
    with pytest.raises(OSError, match="no room for"):
        Channel(far).receive()


def test_an_end_that_is_stuck_is_not_waited_for(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, _ = ends
    near.settimeout(0.1)
    with pytest.raises(TimeoutError):
        Channel(near).send(bytes(10_000_000))
