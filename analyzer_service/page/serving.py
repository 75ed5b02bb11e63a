"""The page's process: uvicorn on one thread, until a signal or the end of who started it."""

import asyncio
import logging
import os
import socket
from types import FrameType
from urllib.parse import quote

import uvicorn

from analyzer_service.listening import url_of
from analyzer_service.page.app import build_app
from analyzer_service.page.settings import PageSettings, claim
from analyzer_service.receive.parent import Parent

logger = logging.getLogger(__name__)

_PARENT_EVERY_S = 0.5
_FAREWELL_S = 2


class _Server(uvicorn.Server):
    """Ends at a signal as asked, which is no failure: uvicorn's would then die of it."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.should_exit:
            os._exit(
                128 + sig
            )  # asked twice: at once; annotations are on the disk when they are said
        self.should_exit = self.config.app.state.ending = True  # type: ignore[union-attr]


def serve_page(settings: PageSettings, listener: socket.socket | None = None) -> None:
    """Serve the page until a signal; logs where it is.

    `listener` is what `claim` gave, if who started this process asked it already.

    Raises
    ------
    ConfigurationError
        As `claim` says.
    """
    listener = listener or claim(settings)
    query = "" if settings.token is None else f"?token={quote(settings.token, safe='')}"
    config = uvicorn.Config(
        build_app(settings),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_FAREWELL_S,
        ws="none",
    )
    logger.info("page at %s", url_of(listener, f"/{query}"))
    asyncio.run(_serve(_Server(config), listener, settings.parent_pid))


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
