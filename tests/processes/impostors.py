"""What may listen where a trainer expects its analyzer: other programs, and a liar."""

import http.server
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

import zmq

from shared.protocol import pack
from tests.processes.fuzzing import FROM_ANALYZER, from_analyzer

HOST = "127.0.0.1"
_AT_ONCE = 50
_HUGE_EVERY = 20_000
_HUGE_BYTES = 2 << 20
_TURN_MS = 10


class _QuietHandler(http.server.BaseHTTPRequestHandler):
    """Has nothing to give, and logs nothing."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _QuietServer(http.server.ThreadingHTTPServer):
    """Answers what is no request with an error, and keeps it to itself."""

    def handle_error(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def web_server(port: int) -> Iterator[None]:
    """A web server on `port` and the next one."""
    with ExitStack() as stack:
        for number in (port, port + 1):
            server = _QuietServer((HOST, number), _QuietHandler)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield


@contextmanager
def babbler(port: int) -> Iterator[None]:
    """Sends random bytes to whoever connects to `port` or the next one."""
    over = threading.Event()
    with ExitStack() as stack:
        for number in (port, port + 1):
            listener = socket.create_server((HOST, number))
            listener.settimeout(0.1)
            thread = threading.Thread(target=_babble, args=(listener, over))
            thread.start()
            stack.callback(listener.close)
            stack.callback(thread.join)
        stack.callback(over.set)
        yield


@contextmanager
def mute(port: int) -> Iterator[None]:
    """Takes connections on `port` and the next one, and says nothing."""
    with socket.create_server((HOST, port)), socket.create_server((HOST, port + 1)):
        yield


@contextmanager
def liar(port: int) -> Iterator[None]:
    """Speaks ZeroMQ on `port` and the next one, but sends floods of what is no conversation.

    It begins with the words of the protocol, which no analyzer would say before it has welcomed;
    some messages are too large to be taken.
    """
    over = threading.Event()
    thread = threading.Thread(target=_lie, args=(port, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


IMPOSTORS: dict[str, Callable[[int], AbstractContextManager[None]]] = {
    "web-server": web_server,
    "babbler": babbler,
    "mute": mute,
    "liar": liar,
}


def _babble(listener: socket.socket, over: threading.Event) -> None:
    generator = random.Random(1)
    while not over.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        connection.settimeout(0.1)
        with connection, suppress(OSError):
            for _ in range(200):
                connection.sendall(generator.randbytes(generator.randrange(1, 20_000)))


def _lie(port: int, over: threading.Event) -> None:
    generator, context = random.Random(2), zmq.Context()
    peers: dict[zmq.Socket[bytes], set[bytes]] = {}
    poller = zmq.Poller()
    for number in (port, port + 1):
        router = context.socket(zmq.ROUTER)
        router.bind(f"tcp://{HOST}:{number}")
        peers[router] = set()
        poller.register(router, zmq.POLLIN)
    while not over.is_set():
        for router, _ in poller.poll(_TURN_MS):
            peer, *_ = router.recv_multipart()
            if peer not in peers[router]:
                for control in FROM_ANALYZER:
                    router.send_multipart([peer, pack(control)])
                peers[router].add(peer)
        for router, known in peers.items():
            for peer in known:
                for _ in range(_AT_ONCE):
                    parts = from_analyzer(generator)
                    if generator.randrange(_HUGE_EVERY) == 0:
                        parts.append(bytes(_HUGE_BYTES))
                    with suppress(zmq.Again):
                        router.send_multipart([peer, *parts], flags=zmq.DONTWAIT)
    context.destroy(linger=0)
