"""A TCP proxy in front of one port, which can swallow what passes and cut its connections."""

import socket
import threading
from contextlib import suppress


class Proxy:
    """Forwards `port` to `target` (both on the loopback) on threads of its own.

    While `swallow` is set, bytes toward the target are taken and forgotten.
    """

    def __init__(self, port: int, target: int) -> None:
        self._target = target
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.swallow = False
        self.swallowed = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection; new ones are forwarded again."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _close(end)

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
            self._pairs.append((near, far))
            for source, sink, forward in ((near, far, True), (far, near, False)):
                threading.Thread(
                    target=self._pump, args=(source, sink, forward), daemon=True
                ).start()

    def _pump(self, source: socket.socket, sink: socket.socket, forward: bool) -> None:
        try:
            while data := source.recv(65536):
                if forward and self.swallow:
                    self.swallowed += len(data)
                else:
                    sink.sendall(data)
        except OSError:
            pass
        finally:
            _close(source)
            _close(sink)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
