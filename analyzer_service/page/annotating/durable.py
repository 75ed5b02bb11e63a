"""Files that are whole after a kill, a power cut or a full disk; links are never followed."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Final

from analyzer_service.page.answers import PageError

LARGEST_FILE: Final = 128 << 20
_PATIENCE_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.005
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class Signature:
    """By what a file is known to be the one that was read: its number, size and time."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Signature":
        """Of what the system says of a file."""
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


class ChangedMeanwhile(Exception):
    """Another program wrote the file after it was read: read it again."""


def signature(path: Path) -> Signature | None:
    """What the file is known by; None if there is none, a link's own if it is one."""
    try:
        return Signature.of(os.lstat(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot("read", path, error) from error


def read(path: Path) -> tuple[bytes, Signature] | None:
    """Bytes of a regular file, and what it is known by; None if there is no such file.

    Raises
    ------
    PageError
        409, if it is a link, no regular file, too large, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot("read", path, error) from error
    found = os.fstat(descriptor)
    if not S_ISREG(found.st_mode) or found.st_size > LARGEST_FILE:
        os.close(descriptor)
        raise PageError(
            409,
            f"{_named(path)} is no regular file of at most {LARGEST_FILE >> 20} MiB: move it "
            "away to annotate this tile here.",
        )
    with open(descriptor, "rb") as file:
        try:
            return file.read(LARGEST_FILE + 1), Signature.of(found)
        except OSError as error:
            raise cannot("read", path, error) from error


def replace(
    path: Path, data: bytes, *, read_as: Signature | None, before: Callable[[], None]
) -> None:
    """Put a file of `data` in the place of `path`; the caller holds the folder's lock.

    After a kill at any moment there is the old file or the new one, and either is on disk.

    Parameters
    ----------
    path, data
    read_as : Signature or None
        What the old file was known by when it was read; None: there was none.
    before : callable
        Called when the new file is on disk, right before it takes the old one's place.

    Raises
    ------
    ChangedMeanwhile
        If the old file is not the one that was read; it stays.
    PageError
        507, if the disk is full; 403, if the folder may not be written to. The old file stays.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # of a page that was killed
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _check_unchanged(path, read_as)  # so that `before` seldom tells of what will not be
        before()
        _check_unchanged(path, read_as)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot("write", path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def append(path: Path, data: bytes) -> None:
    """Add whole lines to a file, on disk at the return; the caller holds the folder's lock.

    What a cut left of a line is ended first, so that it spoils no other. If not all can be
    written, nothing of it stays.

    Raises
    ------
    PageError
        As of `replace`.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(path, flags, 0o666), "rb+", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
            try:
                _write_all(file.fileno(), (b"\n" if torn else b"") + data)
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise
        if not size:
            sync_folder(path.parent)
    except OSError as error:
        raise cannot("write", path, error) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which keeps every other page out, in this process and in others.

    Raises
    ------
    PageError
        503, if another page holds it for long; 403 and 507 as of `replace`.
    """
    path = folder / ".lock"
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        raise cannot("write", path, error) from error
    try:
        take(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def take(descriptor: int, folder: Path) -> None:
    """Lock an open file or folder, which keeps every other page out until it is closed.

    Raises
    ------
    PageError
        503, if another page holds it for long.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise PageError(
                    503, f"Another page has been writing into {folder.name} for long: try again."
                ) from None
            time.sleep(_LOOK_EVERY_S)  # a lock that is waited for cannot be given up


def sync_folder(folder: Path) -> None:
    """Put a folder's list of names on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot(what: str, path: Path, error: OSError) -> PageError:
    """What to tell of a file that could not be read or written."""
    why = error.strerror or type(error).__name__
    if error.errno in _FULL:
        sentence = "The disk is full: make room, nothing of what was there is lost."
        return PageError(507, f"{sentence} ({why})")
    if error.errno in _CLOSED and what == "write":
        return PageError(403, f"This run's folder may only be read: {_named(path)}: {why}.")
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return PageError(409, f"{_named(path)} is a link or no file: links are not followed here.")
    return PageError(409, f"Cannot {what} {_named(path)}: {why}.")


def _check_unchanged(path: Path, read_as: Signature | None) -> None:
    if signature(path) != read_as:
        raise ChangedMeanwhile


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
