"""A file descriptor that becomes readable when another thread has something to say."""

import socket


class Wakeup:
    """Level-triggered: readable from `set` until `clear`. `set` may come from any thread."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)

    def fileno(self) -> int:
        """Descriptor to wait on."""
        return self._near.fileno()

    def set(self) -> None:
        """Make it readable."""
        try:
            self._far.send(b"!")
        except (BlockingIOError, OSError):
            return  # full: it is readable already; closed: nobody waits

    def clear(self) -> None:
        """Make it unreadable until the next `set`."""
        try:
            while self._near.recv(4096):
                pass
        except (BlockingIOError, OSError):
            return

    def close(self) -> None:
        """Let go of the descriptors."""
        self._near.close()
        self._far.close()
