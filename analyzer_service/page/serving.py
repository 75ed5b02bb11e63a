"""The page's process: uvicorn on one thread, until a signal or the end of who started it."""

import asyncio
import logging
import socket

import uvicorn

from analyzer_service.listening import HttpAddress, listen, url_of
from analyzer_service.page.app import build_app
from analyzer_service.page.settings import PageSettings
from analyzer_service.receive.parent import Parent
from shared.errors import ConfigurationError

logger = logging.getLogger(__name__)

_PARENT_EVERY_S = 0.5
_FAREWELL_S = 1


def serve_page(settings: PageSettings) -> None:
    """Serve the page until a signal; prints where it is.

    Raises
    ------
    ConfigurationError
        If the output folder is no folder, the address cannot be had, or the page's scripts were
        not built.
    """
    if not settings.output_dir.is_dir():
        raise ConfigurationError(
            f"--output-dir {settings.output_dir}: there is no such folder; give the one that run "
            "folders (auto_analysis_…) are in"
        )
    app = build_app(settings)
    listener = _listening(settings.address)
    query = "" if settings.token is None else f"?token={settings.token}"
    logger.info("page at %s", url_of(listener, f"/{query}"))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=_FAREWELL_S, ws="none"
    )
    asyncio.run(_serve(uvicorn.Server(config), listener, settings.parent_pid))


async def _serve(server: uvicorn.Server, listener: socket.socket, parent_pid: int | None) -> None:
    watching = None if parent_pid is None else asyncio.create_task(_follow(server, parent_pid))
    await server.serve([listener])
    if watching is not None:
        watching.cancel()


async def _follow(server: uvicorn.Server, pid: int) -> None:
    """End the server with process `pid`."""
    parent = Parent(pid)
    while parent.alive():
        await asyncio.sleep(_PARENT_EVERY_S)
    server.should_exit = True


def _listening(address: HttpAddress) -> socket.socket:
    listener = listen(address)
    if listener is None:
        raise ConfigurationError(
            f"ports {address.ports[0]} to {address.ports[-1]} of {address.host} are all in use: "
            f"choose another with {address.option} HOST:PORT"
        )
    return listener
