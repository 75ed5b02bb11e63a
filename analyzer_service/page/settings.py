"""What the page was asked to do; read once, at the command line."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from analyzer_service.listening import HttpAddress, default_address, parse_http_address

DEFAULT_PORT: Final = 8080


@dataclass(frozen=True)
class PageSettings:
    """How to serve the page.

    Attributes
    ----------
    output_dir : Path
        Folder that the run folders are in; nothing outside of it is read.
    address : HttpAddress
        Where to listen.
    token : str or None
        What a browser must bring along; None asks for none.
    parent_pid : int or None
        A process whose death ends this one.
    """

    output_dir: Path
    address: HttpAddress = field(default_factory=lambda: default_address("--bind", DEFAULT_PORT))
    token: str | None = None
    parent_pid: int | None = None


def page_address(text: str | None, *, option: str) -> HttpAddress:
    """Where the page is served: loopback when nothing is asked for.

    Raises
    ------
    ConfigurationError
        If `text` is no address.
    """
    if text is None:
        return default_address(option, DEFAULT_PORT)
    return parse_http_address(text, option=option)


def token_for(address: HttpAddress, given: str | None = None) -> str | None:
    """A token for an address that other machines reach, `given` or a new one; else `given`."""
    if given or address.loopback:
        return given or None
    return secrets.token_urlsafe(24)
