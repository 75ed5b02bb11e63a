"""Which errors are the system's: a disk that is full or fails, say, and may do better later."""

import errno
import sqlite3
from typing import Final

_OF_SQLITE: Final = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_CANTOPEN: errno.EIO,
}


def errno_of(error: BaseException) -> int | None:
    """The system's error number behind an exception, None where the system is not to blame.

    An exception that was raised from another one is judged by that one.

    Examples
    --------
    >>> errno_of(OSError(28, "No space left on device"))
    28
    >>> errno_of(ValueError("no space")) is None
    True
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause.errno or errno.EIO
        if isinstance(cause, sqlite3.Error):
            return _OF_SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
        cause = cause.__cause__
    return None
