"""What the page was asked to do; read once, at the command line."""

import secrets
import socket
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from analyzer_service.listening import HttpAddress, default_address, listen, parse_http_address
from shared.errors import ConfigurationError

DEFAULT_PORT: Final = 8080
TOKEN_VARIABLE: Final = "SIDELIGHT_PAGE_TOKEN"
STATIC: Final = Path(__file__).parent / "static"
"""Scripts and styles, which an installation makes."""
_NEEDED: Final = ("starlette", "uvicorn", "sse_starlette")


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


def page_settings(
    output_dir: Path, bind: str | None, *, option: str, token: str | None = None
) -> PageSettings:
    """Settings of an output folder, an address that `option` gives, and a token where one is due.

    Raises
    ------
    ConfigurationError
        If `bind` is no address.
    """
    address = (
        default_address(option, DEFAULT_PORT)
        if bind is None
        else parse_http_address(bind, option=option)
    )
    return PageSettings(output_dir, address, token_for(address, token))


def token_for(address: HttpAddress, given: str | None = None) -> str | None:
    """A token for an address that other machines reach, `given` or a new one; else `given`."""
    if given or address.loopback:
        return given or None
    return secrets.token_urlsafe(24)


def claim(settings: PageSettings) -> socket.socket:
    """Listening socket for the page, after a look at what it needs.

    Raises
    ------
    ConfigurationError
        If the output folder is no folder, the page's scripts were not built, or no address can be
        had.
    """
    check_built()
    if not settings.output_dir.is_dir():
        raise ConfigurationError(
            f"--output-dir {settings.output_dir}: there is no such folder; give the one that run "
            "folders (auto_analysis_…) are in"
        )
    address = settings.address
    listener = listen(address)
    if listener is None:
        raise ConfigurationError(
            f"ports {address.ports[0]} to {address.ports[-1]} of {address.host} are all in use: "
            f"choose another with {address.option} HOST:PORT"
        )
    return listener


def check_built() -> None:
    """Check that what serves the page is installed, and that its scripts are there.

    Raises
    ------
    ConfigurationError
        If not; says what to do.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"the page needs {', '.join(missing)}: pip install 'sidelight[page]'"
        )
    if not (STATIC / "runs.js").is_file():
        raise ConfigurationError(
            "the page's scripts were not built: install Sidelight again where the npm registry can "
            "be reached (pip install .), without SIDELIGHT_WITHOUT_PAGE set"
        )
