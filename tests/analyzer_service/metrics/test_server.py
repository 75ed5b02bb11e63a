"""The server over real sockets: clients that say nothing, too much, or never end."""

import contextlib
import logging
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from analyzer_service.metrics import server
from analyzer_service.metrics.server import MOST_CONNECTIONS, HttpServer

DEADLINE_S = 20.0
GET = b"GET /x HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Scripted:
    """Answers ``ok``, or what a test wants."""

    def __init__(self, response: bytes = OK, error: Exception | None = None) -> None:
        self.response = response
        self.error = error
        self.heads: list[bytes] = []

    def answer(self, head: bytes) -> bytes:
        self.heads.append(head)
        if self.error is not None:
            raise self.error
        return self.response

    def too_long(self) -> bytes:
        return b"HTTP/1.1 431 Too Large\r\n\r\n"


@contextmanager
def serving(pages: Scripted) -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    address = listener.getsockname()[:2]
    with closing(HttpServer(listener, pages)):
        yield address


def ask(address: tuple[str, int], request: bytes = GET) -> bytes:
    with socket.create_connection(address, timeout=DEADLINE_S) as connection:
        connection.sendall(request)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return received


def test_a_request_is_answered_and_the_connection_closed() -> None:
    pages = Scripted()
    with serving(pages) as address:
        assert ask(address) == OK
        assert ask(address, b"HEAD /y HTTP/1.1\r\nHost: z\r\n\r\n") == OK
    assert [head.split()[1] for head in pages.heads] == [b"/x", b"/y"]


def test_a_request_may_come_byte_by_byte() -> None:
    with (
        serving(Scripted()) as address,
        socket.create_connection(address, timeout=DEADLINE_S) as connection,
    ):
        for byte in GET:
            connection.sendall(bytes([byte]))
        assert read_all(connection) == OK


def test_a_body_that_is_still_coming_costs_nobody_the_response() -> None:
    with serving(Scripted()) as address:
        request = b"POST /x HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + bytes(200_000)
        assert ask(address, request).startswith(OK)


def test_a_head_without_an_end_is_cut_off() -> None:
    with serving(Scripted()) as address:
        assert ask(address, b"GET /" + b"a" * 20_000).startswith(b"HTTP/1.1 431")


def test_who_says_nothing_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LONGEST_S", 0.2)
    with (
        serving(Scripted()) as address,
        socket.create_connection(address, timeout=DEADLINE_S) as connection,
    ):
        connection.sendall(b"GET /x HT")
        assert read_all(connection) == b""


def test_who_reads_nothing_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LONGEST_S", 0.5)
    with (
        serving(Scripted(bytes(64 << 20))) as address,
        socket.create_connection(address, timeout=DEADLINE_S) as connection,
    ):
        connection.sendall(GET)
        assert connection.recv(1) == b"\0"
        time.sleep(1.0)  # what is tested: nothing is read meanwhile
        assert 1 + len(read_all(connection)) < 64 << 20


def test_the_newest_takes_the_place_of_the_oldest() -> None:
    with serving(Scripted()) as address:
        silent = [
            socket.create_connection(address, timeout=DEADLINE_S)
            for _ in range(MOST_CONNECTIONS + 5)
        ]
        assert ask(address) == OK
        began_s = time.monotonic()
        assert [read_all(each) for each in silent[:5]] == [b""] * 5
        assert time.monotonic() - began_s < server.LONGEST_S / 2, "they were cut, not timed out"
        for each in silent:
            each.close()


@pytest.fixture
def files() -> Iterator[int]:
    """As many open files as the system allows, for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_connections_take_up_no_more_than_a_few(files: int) -> None:
    count = min(10_000, files - 500)
    before = threading.active_count()
    with serving(Scripted()) as address:
        silent = [connecting(address) for _ in range(count)]
        began_s = time.monotonic()
        assert ask(address) == OK
        assert time.monotonic() - began_s < 10, "a scrape gives up after 10 s"
        assert threading.active_count() == before + 1
        for each in silent:
            each.close()
        assert ask(address) == OK


def connecting(address: tuple[str, int]) -> socket.socket:
    """A connection that is being made, or is made; nobody waits for it."""
    made = socket.socket()
    made.setblocking(False)
    made.connect_ex(address)
    return made


def test_pages_that_fail_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Scripted(error=RuntimeError("a fault of ours"))) as address:
        for _ in range(3):
            assert ask(address).startswith(b"HTTP/1.1 500")
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1


def test_closing_cuts_what_is_open_and_frees_the_port() -> None:
    before = threading.active_count()
    with serving(Scripted()) as address:
        connection = socket.create_connection(address, timeout=DEADLINE_S)
        assert ask(address) == OK
    assert read_all(connection) == b""
    connection.close()
    assert threading.active_count() == before
    socket.create_server(address).close()
