"""Bytes of a file by their offset; its errors are `RecordingError`."""

import os
from pathlib import Path
from stat import S_ISREG
from types import TracebackType
from typing import Self

from shared.errors import RecordingError


class ByteSource:
    """A file opened for reading, as long as it was at that moment.

    Raises
    ------
    RecordingError
        If `path` is no regular file or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._buffer = bytearray()
        try:
            # Opening a pipe would wait for its other end.
            if not S_ISREG(path.stat().st_mode):
                raise RecordingError(f"recording {path} is not a file")
            self._file = path.open("rb")
            self.nbytes = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise RecordingError(f"recording {path} cannot be read: {error.strerror}") from error

    def read(self, offset: int, nbytes: int) -> bytes:
        """At most `nbytes` bytes from `offset`; fewer where the file ends."""
        try:
            self._file.seek(offset)
            return self._file.read(max(0, min(nbytes, self.nbytes - offset)))
        except OSError as error:
            raise self._unreadable(offset, error) from error

    def view(self, offset: int, nbytes: int) -> memoryview:
        """The same bytes until the next `view`: memory for large ones is asked for only once."""
        nbytes = max(0, min(nbytes, self.nbytes - offset))
        if len(self._buffer) < nbytes:
            self._buffer = bytearray(nbytes)
        view = memoryview(self._buffer)[:nbytes]
        try:
            self._file.seek(offset)
            return view[: self._file.readinto(view)]
        except OSError as error:
            raise self._unreadable(offset, error) from error

    def _unreadable(self, offset: int, error: OSError) -> RecordingError:
        return RecordingError(
            f"recording {self._path} cannot be read at byte {offset}: {error.strerror}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
