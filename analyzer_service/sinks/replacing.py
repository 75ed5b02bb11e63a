"""Writing a file so that a reader sees the old one or the new one, never a half."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from shared.errors import SinkError


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a text file that takes the place of `path` when the block ends without an error.

    As `replacing_path`, with the file opened.
    """
    with (
        replacing_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        yield file


@contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """Path of a file that takes the place of `path` when the block ends without an error.

    It is ``.{name}.{process}.tmp`` beside `path`, so that two processes that write the same file
    do not meet; after an error it is removed and `path` stays as it was. A device, a pipe or a
    folder is never replaced: whoever may rename may take away ``/dev/null`` from everyone.

    Raises
    ------
    SinkError
        If the file cannot be written (folder gone, disk full), or `path` is no regular file.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # any path: these never raise
        raise SinkError(f"cannot write {path}: it is there and no regular file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
