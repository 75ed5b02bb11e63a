"""The runs in the output folder, by name; nothing outside of the folder is ever opened."""

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from analyzer_service.commit.reader import RunReader, run_database
from analyzer_service.page.answers import PageError
from analyzer_service.page.readers import Readers
from shared.errors import ConfigurationError
from shared.naming import RUN_PREFIX as PREFIX

logger = logging.getLogger(__name__)

_NOT_SEGMENTS: Final = ("", ".", "..")
_DATABASE: Final = run_database(Path()).name


NOT_UNDERSTOOD: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What comes of a database that can be read and holds something else than was written into it."""


def closed(folder: Path) -> str:
    """What to say of a folder that may not be entered."""
    return (
        "The page's user may not enter this folder. Its owner can let everybody read it "
        f"(chmod -R a+rX {folder.name}), or start the page."
    )


def not_understood(error: BaseException) -> str:
    """What to say of one of those errors."""
    return (
        "This run cannot be read: its database is damaged, or of a version that is not known here "
        f"({type(error).__name__}). `verify` says what is left of it."
    )


class RunFolders:
    """Folders ``auto_analysis_{run}`` of an output folder.

    A run is found by comparing names with what the folder lists, so no request is ever a path.
    """

    def __init__(self, output_dir: Path) -> None:
        self.output_dir = output_dir
        self._readers = Readers()

    def names(self) -> list[str]:
        """Names of the runs, sorted; none where the output folder cannot be listed."""
        return sorted(self.all())

    def all(self) -> dict[str, Path]:
        """Folders of the runs by name; none where the output folder cannot be listed."""
        root = self.output_dir.resolve()
        return {name: Path(entry) for name, entry in self._listed(root) if _is_run(entry, root)}

    def find(self, name: str) -> Path:
        """Folder of run `name`.

        Raises
        ------
        PageError
            404, if there is none.
        """
        root = self.output_dir.resolve()
        entry = dict(self._listed(root)).get(name)
        if entry is None or not _is_run(entry, root):
            raise PageError(
                404, f"There is no run {name!r} here. It may have been moved or deleted."
            )
        return Path(entry)

    @contextmanager
    def open(self, name: str) -> Iterator[RunReader]:
        """Run `name`, opened to be read; the folder stays as it is.

        Raises
        ------
        PageError
            404, if there is none; 409, if it cannot be read: the sentence says why.
        """
        folder = self.find(name)
        try:
            reader, opened = self._readers.take(folder)
        except PermissionError as error:
            raise PageError(409, f"This run cannot be read: {closed(folder)}") from error
        except (ConfigurationError, OSError) as error:
            raise PageError(409, f"This run cannot be read: {error}") from error
        try:
            yield reader
        except PageError:  # what was asked for is not there: the run itself is
            self._readers.give_back(folder, reader, opened)
            raise
        except BaseException as error:
            reader.close()
            if isinstance(error, sqlite3.Error):
                raise PageError(
                    409,
                    f"This run cannot be read any more: its database is damaged or gone ({error}).",
                ) from error
            if isinstance(error, NOT_UNDERSTOOD):
                logger.exception("run %s holds what is not understood", name)
                raise PageError(409, not_understood(error)) from error
            raise
        self._readers.give_back(folder, reader, opened)

    def _listed(self, root: Path) -> list[tuple[str, os.DirEntry[str]]]:
        try:
            with os.scandir(root) as entries:
                found = [each for each in entries if each.name.startswith(PREFIX)]
        except OSError:
            return []
        named = [(each.name.removeprefix(PREFIX), each) for each in found]
        return [(name, each) for name, each in named if _is_segment(name)]


def inside(path: Path, folder: Path) -> bool:
    """Whether `path`, its links followed, lies in `folder`."""
    return path.resolve().is_relative_to(folder.resolve())


def open_regular(path: Path, folder: Path) -> BinaryIO:
    """Open a file of `folder` to read it; a pipe in its place must keep nobody waiting.

    Raises
    ------
    OSError
        If it is gone, no regular file, or its links lead out of `folder`.
    """
    if not inside(path, folder):
        raise FileNotFoundError(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(path)
    return open(descriptor, "rb")


def _is_segment(name: str) -> bool:
    """Whether a run's name, which may be any bytes, can be said to a browser in an address."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name not in _NOT_SEGMENTS


def _is_run(entry: os.DirEntry[str], root: Path) -> bool:
    database = f"{entry.path}{os.sep}{_DATABASE}"
    try:
        kind = os.lstat(database).st_mode
    except PermissionError:
        # Nobody is to miss a run: whoever reads it is told. lost+found, say, is none.
        return entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
    if stat.S_ISREG(kind) and not entry.is_symlink():
        return True  # it lies where it seems to
    return os.path.isfile(database) and inside(Path(database), root)
