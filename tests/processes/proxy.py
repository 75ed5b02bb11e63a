"""A TCP proxy in front of one port: it can stall, delay, slow down, swallow and cut."""

import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final, Literal

Way = Literal["in", "out"]
"""Toward the target, and back from it."""

BOTH: Final[tuple[Way, Way]] = ("in", "out")
_CHUNK_BYTES: Final = 1 << 16
_MOST_CHUNKS: Final = 16


class Proxy:
    """Forwards `port` to `target` (both on the loopback) on threads of its own.

    Attributes
    ----------
    swallow : bool
        While it is set, bytes toward the target are taken and forgotten, `swallowed` of them.
    latency_s : float
        How long each byte is held, in both directions.
    bytes_per_s : float or None
        What a connection lets through toward the target; None for all that comes.
    connections : int
        How many were taken so far.
    late_bytes : int
        Bytes that reached the target after their connection was given up in front.
    """

    def __init__(self, port: int, target: int) -> None:
        self._target = target
        self._pairs: list[_Pair] = []
        self._stalled: set[Way] = set()
        self.changed = threading.Condition()
        self.swallow = False
        self.swallowed = 0
        self.latency_s = 0.0
        self.bytes_per_s: float | None = None
        self.connections = 0
        self.late_bytes = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self, *ways: Way) -> None:
        """Forward nothing in these directions and close nothing, in new connections neither."""
        with self.changed:
            self._stalled.update(ways)

    def heal(self) -> None:
        """Forward again, beginning with what was held."""
        with self.changed:
            self._stalled.clear()
            self.changed.notify_all()

    def stalls(self, way: Way) -> bool:
        """Tell whether nothing is forwarded in this direction."""
        return way in self._stalled

    def cut(self) -> None:
        """Close every connection; new ones are forwarded again."""
        with self.changed:
            pairs, self._pairs = self._pairs, []
            for pair in pairs:
                pair.end()
            self.changed.notify_all()

    def close(self) -> None:
        """Stop."""
        _close(self._listener)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self.changed:
                self.connections += 1
                self._pairs.append(_Pair(self, near, far))


class _Pair:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, near: socket.socket, far: socket.socket) -> None:
        self._ends = near, far
        self._lanes = 2
        self.over = False
        for way, source, sink in (("in", near, far), ("out", far, near)):
            _Lane(proxy, self, way, source, sink)  # type: ignore[arg-type]

    def lane_ended(self) -> None:
        """Close both ends after the second direction."""
        self._lanes -= 1
        if not self._lanes:
            self.end()

    def end(self) -> None:
        """Close both ends; what is held is lost."""
        self.over = True
        for end in self._ends:
            _close(end)


class _Lane:
    """One direction of one connection: a thread takes bytes in, another passes them on."""

    def __init__(
        self, proxy: Proxy, pair: _Pair, way: Way, source: socket.socket, sink: socket.socket
    ) -> None:
        self._proxy, self._pair, self._way = proxy, pair, way
        self._source, self._sink = source, sink
        self._held: deque[tuple[float, bytes]] = deque()
        self._ended = False
        for work in (self._take, self._pass_on):
            threading.Thread(target=work, daemon=True).start()

    def _take(self) -> None:
        changed = self._proxy.changed
        with suppress(OSError):
            while data := self._source.recv(_CHUNK_BYTES):
                due_s = time.monotonic() + self._proxy.latency_s
                with changed:
                    changed.wait_for(lambda: len(self._held) < _MOST_CHUNKS or self._pair.over)
                    self._held.append((due_s, data))
                    changed.notify_all()
        with changed:
            self._ended = True
            changed.notify_all()

    def _pass_on(self) -> None:
        while (held := self._next()) is not None:
            due_s, data = held
            time.sleep(max(0.0, due_s - time.monotonic()))
            with suppress(OSError):  # nobody is there any more; the other direction goes on
                self._deliver(data)
        with suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)
        self._pair.lane_ended()

    def _next(self) -> tuple[float, bytes] | None:
        """What goes next, once it may; None at the end."""
        changed = self._proxy.changed
        with changed:
            changed.wait_for(self._may_go)
            if self._pair.over or not self._held:
                return None
            changed.notify_all()
            return self._held.popleft()

    def _may_go(self) -> bool:
        if self._pair.over:
            return True
        return not self._proxy.stalls(self._way) and bool(self._held or self._ended)

    def _deliver(self, data: bytes) -> None:
        proxy, rate = self._proxy, self._proxy.bytes_per_s
        if self._way == "out":
            self._sink.sendall(data)
        elif proxy.swallow:
            proxy.swallowed += len(data)
        elif rate is None:
            self._sink.sendall(data)
            proxy.late_bytes += len(data) * self._ended
        else:
            self._trickle(data, rate)

    def _trickle(self, data: bytes, rate: float) -> None:
        step = max(1, int(rate / 50))
        for start in range(0, len(data), step):
            part = data[start : start + step]
            self._sink.sendall(part)
            time.sleep(len(part) / rate)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
