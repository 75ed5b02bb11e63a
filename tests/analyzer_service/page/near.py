"""The page's server on a thread of the test: there at once."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from analyzer_service.page.app import build_app
from analyzer_service.page.settings import PageSettings


@contextlib.contextmanager
def near_page(output_dir: Path) -> Iterator[str]:
    """Where the page over `output_dir` is, as long as the block lasts; ends with a slash."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        build_app(PageSettings(output_dir)),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="page")
    thread.start()
    try:
        # The socket listens already: who comes early waits until the server takes it up.
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
