"""A small HTTP server on one thread: few connections, each short, none of them waited for.

`prometheus_client.start_http_server` starts a thread for each connection, without a limit of
their number or of their time: whoever opens connections and says nothing takes up the process.
Here the oldest connection makes room for the newest, a conversation ends after 5 s, and
connections are taken up at a pace that leaves the interpreter to the ingest loop.
"""

import asyncio
import contextlib
import logging
import socket
import threading
from typing import Final, Protocol

logger = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 32
LONGEST_S: Final = 5.0
_LONGEST_HEAD: Final = 8192
_PACE_S: Final = 0.005
_AGAIN_S: Final = 1.0
_FAREWELL_S: Final = 0.5
_JOIN_S: Final = 5.0
_FAILED: Final = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class Answers(Protocol):
    """What the server needs of `analyzer_service.metrics.pages.Pages`."""

    def answer(self, head: bytes) -> bytes:
        """Response to the head of a request."""
        ...

    def too_long(self) -> bytes:
        """Response to a head that does not end."""
        ...


class HttpServer:
    """Serves `pages` on `listener` until it is closed; closes the listener.

    Parameters
    ----------
    listener : socket.socket
        Bound and listening.
    pages : Answers
        Asked on the server's thread.
    """

    def __init__(self, listener: socket.socket, pages: Answers) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._pages = pages
        self._open: dict[asyncio.Task[None], None] = {}
        self._failed = False
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving, and cut what is open."""
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception:  # the thread's edge: being watched must end nothing
            logger.exception("metrics are not served any more")
        finally:
            self._listener.close()
            self._loop.close()

    async def _serve(self) -> None:
        accepting = asyncio.create_task(self._accept())
        await self._stop.wait()
        tasks = [accepting, *self._open]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._listener)
            except OSError:  # no descriptor is left, or the peer has gone again
                await asyncio.sleep(_AGAIN_S)
                continue
            self._admit(connection)
            await asyncio.sleep(_PACE_S)

    def _admit(self, connection: socket.socket) -> None:
        if len(self._open) >= MOST_CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.cancel()
        task = self._loop.create_task(self._converse(connection))
        self._open[task] = None
        task.add_done_callback(lambda done: self._open.pop(done, None))

    async def _converse(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            async with asyncio.timeout(LONGEST_S):
                head = await self._read_head(connection)
                if head is not None:
                    await self._say(connection, head)
        except (OSError, TimeoutError):
            pass
        finally:
            connection.close()

    async def _read_head(self, connection: socket.socket) -> bytes | None:
        """Bytes up to the empty line; empty when there are too many, None at an early end."""
        head = b""
        while b"\r\n\r\n" not in head:
            if len(head) > _LONGEST_HEAD:
                return b""
            received = await self._loop.sock_recv(connection, _LONGEST_HEAD)
            if not received:
                return None
            head += received
        return head

    def _response(self, head: bytes) -> bytes:
        try:
            return self._pages.answer(head) if head else self._pages.too_long()
        except Exception:
            if not self._failed:
                logger.exception("a request for metrics could not be answered")
            self._failed = True
            return _FAILED

    async def _say(self, connection: socket.socket, head: bytes) -> None:
        await self._loop.sock_sendall(connection, self._response(head))
        connection.shutdown(socket.SHUT_WR)
        # Closed with bytes unread, the connection would be reset and the response lost.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                while await self._loop.sock_recv(connection, _LONGEST_HEAD):
                    pass
