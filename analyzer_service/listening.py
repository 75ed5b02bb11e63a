"""Where HTTP is served: an address that its user gave, or the first of ten ports that is free."""

import errno
import re
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from shared.errors import ConfigurationError

DEFAULT_HOST: Final = "127.0.0.1"
_TRIED: Final = 10
_BACKLOG: Final = 128
_ANY: Final = {"0.0.0.0": DEFAULT_HOST, "::": "::1"}
_FORM: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_WHAT_TO_DO: Final = {
    errno.EADDRINUSE: "it is in use",
    errno.EACCES: "ports below 1024 are not permitted",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """A host, and the ports to try in turn; port 0 is any free one.

    `option` is the flag that gives it, for messages; `asked_for` tells that its user named the
    address: then it must be had.
    """

    option: str
    ports: tuple[int, ...]
    host: str = DEFAULT_HOST
    asked_for: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it; only a number decides, or ``localhost``."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def default_address(option: str, port: int) -> HttpAddress:
    """Loopback, at `port` or the next of ten that is free."""
    return HttpAddress(option, tuple(range(port, port + _TRIED)))


def parse_http_address(text: str, *, option: str) -> HttpAddress:
    """Address of ``HOST:PORT``, IPv6 in brackets.

    Raises
    ------
    ConfigurationError
        If `text` has another form.

    Examples
    --------
    >>> parse_http_address("[::1]:9464", option="--metrics").host
    '::1'
    """
    match = _FORM.fullmatch(text)
    if match is None or int(match[2]) > 65535:
        raise ConfigurationError(f"{option} {text}: give HOST:PORT")
    host, port = match[1].strip("[]"), int(match[2])
    return HttpAddress(option, (port,), host, asked_for=True)


def listen(address: HttpAddress) -> socket.socket | None:
    """Listening socket of the first port that is free; None if none of the default ones is.

    Raises
    ------
    ConfigurationError
        If the address that was asked for cannot be had.
    """
    why = OSError()
    for port in address.ports:
        try:
            return _listen(address.host, port)
        except OSError as error:
            why = error
    if not address.asked_for:
        return None
    reason = _WHAT_TO_DO.get(why.errno or 0) or why.strerror or str(why)
    raise ConfigurationError(
        f"{address.host}:{address.ports[0]} cannot be listened on: {reason}; choose another with "
        f"{address.option} HOST:PORT"
    )


def url_of(listener: socket.socket, path: str) -> str:
    """Where a browser finds `path`, which begins with a slash; of this machine if it is any."""
    host, port = listener.getsockname()[:2]
    host = _ANY.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    name = DEFAULT_HOST if host == "localhost" else host
    listener = socket.create_server((name, port), family=family, backlog=_BACKLOG)
    # Connections inherit it. Otherwise a body that follows its headers in a packet of its own waits
    # 40 ms for the browser's delayed acknowledgment (asyncio sets it only on sockets it makes).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
