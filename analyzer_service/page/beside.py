"""The page beside `serve`: a process of its own, so that no viewer costs ingest anything."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from analyzer_service.page.settings import TOKEN_VARIABLE, PageSettings, claim
from analyzer_service.sinks.children import child_environment

_FAREWELL_S: Final = 5.0


@contextmanager
def page_beside(settings: PageSettings) -> Iterator[None]:
    """Serve the page in a child process meanwhile; it ends with this one, however that ends.

    The address is claimed here, so that one that is taken is said before anything begins.

    Raises
    ------
    ConfigurationError
        As `claim` says.
    """
    listener = claim(settings)
    command = [
        *(sys.executable, "-m", "analyzer_service", "page"),
        *("--output-dir", str(settings.output_dir.absolute())),
        *("--listener", str(listener.fileno()), "--parent-pid", str(os.getpid())),
    ]
    # Not on the command line, where every user of the machine could read it.
    token = {} if settings.token is None else {TOKEN_VARIABLE: settings.token}
    with listener:
        # A session of its own: Ctrl+C in the terminal is for this process, which ends the child.
        child = subprocess.Popen(
            command,
            env=child_environment() | token,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
