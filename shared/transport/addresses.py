"""Where an analyzer listens: one address that stands for its two sockets."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from shared.errors import ConfigurationError

_FORMS: Final = "tcp://HOST:PORT (the next port is used too) or ipc://PATH"

_TCP: Final = re.compile(r"tcp://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+|\*):([0-9]{1,5})")


@dataclass(frozen=True)
class Address:
    """Addresses of the two sockets of one analyzer."""

    ctl: str
    bulk: str
    loopback: bool


def parse_address(text: str) -> Address:
    """Both socket addresses of ``tcp://HOST:PORT`` or ``ipc://PATH``.

    Raises
    ------
    ConfigurationError
        If `text` has another form.

    Examples
    --------
    >>> parse_address("tcp://127.0.0.1:5555").bulk
    'tcp://127.0.0.1:5556'
    """
    scheme, _, rest = text.partition("://")
    if scheme == "ipc" and rest:
        return Address(f"{text}.ctl", f"{text}.bulk", loopback=True)
    if scheme == "tcp":
        return _tcp_address(text)
    raise ConfigurationError(f"address {text!r} has another form than {_FORMS}")


def _tcp_address(text: str) -> Address:
    match = _TCP.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= 65534:
        raise ConfigurationError(
            f"address {text!r} has another form than {_FORMS}; ports go from 1 to 65534"
        )
    host, port = match[1], int(match[2])
    return Address(f"tcp://{host}:{port}", f"tcp://{host}:{port + 1}", _is_loopback(host))


def _is_loopback(host: str) -> bool:
    """Only an address decides: a name that begins with ``127.`` may be anywhere."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
