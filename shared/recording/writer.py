"""Writes recordings: what was flushed survives the death of the process."""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.errors import ConfigurationError, RecordingError
from shared.recording.chunks import CHUNK_BYTES, ChannelRecord, ChunkDraft
from shared.recording.envelope import END, make_start
from shared.recording.items import MAX_CHANNELS, ChannelKey, Recorded, check_key, check_message


class RecordingWriter:
    """Appends items to a new MCAP file, in small chunks with a checksum each.

    Not thread-safe. After a `RecordingError` the file ends behind its last whole chunk; what
    is not in it yet stays in memory (at most one chunk), and the next call tries again.

    Parameters
    ----------
    path : Path
        A file that does not exist yet.
    limit_bytes : int, optional
        Largest size of the file; an item that would make it larger is refused by `write`.

    Raises
    ------
    ConfigurationError
        If `path` exists.
    RecordingError
        If it cannot be made.
    """

    def __init__(self, path: Path, *, limit_bytes: int | None = None) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._token = secrets.token_hex(8)
        self._channels: dict[ChannelKey, ChannelRecord] = {}
        self._draft = ChunkDraft()
        self._whole_bytes = 0
        self._file = _create(path)
        try:
            self._append([make_start(self._token)])
        except RecordingError:
            self._file.close()
            with suppress(OSError):
                path.unlink()
            raise

    @property
    def nbytes(self) -> int:
        """Size of the file once everything written so far is flushed."""
        return self._whole_bytes + self._draft.nbytes

    @property
    def whole_nbytes(self) -> int:
        """Size of what is handed over: the next item will stand here or behind."""
        return self._whole_bytes

    def write(self, item: Recorded) -> bool:
        """Take `item`; it is safe after the next `flush`.

        Returns
        -------
        bool
            False when it would make the closed file larger than `limit_bytes`; it is then
            not written.

        Raises
        ------
        RecordingError
            If `item` cannot be held by a recording, or the disk failed. It is not written.
        """
        channel = self._channel(item)
        size = self._draft.nbytes_with(channel, item)
        if size > CHUNK_BYTES and self._draft.nbytes:
            self._end_chunk()
            size = self._draft.nbytes_with(channel, item)
        closed = self._whole_bytes + size + len(END)
        if self._limit_bytes is not None and closed > self._limit_bytes:
            return False
        self._draft.add(channel, item)
        return True

    def flush(self) -> None:
        """End the open chunk and hand it to the operating system.

        Afterwards the death of this process loses nothing (that of the machine may).
        """
        self._end_chunk()

    def close(self) -> None:
        """Flush and write the end record; closing again does nothing."""
        if self._file.closed:
            return
        try:
            self._end_chunk()
            self._append([END])
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _channel(self, item: Recorded) -> ChannelRecord:
        key = item.key
        channel = self._channels.get(key)
        try:
            check_message(item)
            if channel is None:
                check_key(key)
        except ValueError as error:
            raise RecordingError(f"{self._path}: cannot hold this item: {error}") from error
        if self._file.closed:
            raise RecordingError(f"{self._path}: is closed, nothing can be written to it")
        return channel or self._new_channel(key)

    def _new_channel(self, key: ChannelKey) -> ChannelRecord:
        if len(self._channels) >= MAX_CHANNELS:
            raise RecordingError(f"{self._path}: holds {MAX_CHANNELS} channels, no more fit")
        channel = ChannelRecord.of(len(self._channels) + 1, key, self._token)
        self._channels[key] = channel
        return channel

    def _end_chunk(self) -> None:
        if self._draft.nbytes:
            self._append(self._draft.pieces())
            self._draft = ChunkDraft()

    def _append(self, pieces: Sequence[bytes]) -> None:
        try:
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[self._file.write(left) :]
        except (OSError, ValueError) as error:
            self._take_back()
            raise RecordingError(f"{self._path}: cannot be written: {error}") from error
        self._whole_bytes += sum(map(len, pieces))

    def _take_back(self) -> None:
        """Cut off a torn chunk, so that a later one is not written behind it."""
        with suppress(OSError, ValueError):
            self._file.seek(self._whole_bytes)
            self._file.truncate()


def _create(path: Path) -> FileIO:
    try:
        return open(path, "xb", buffering=0)
    except FileExistsError:
        raise ConfigurationError(
            f"recording {path} exists already: choose another file name or remove it"
        ) from None
    except OSError as error:
        raise RecordingError(
            f"recording {path} cannot be made: {os.strerror(error.errno or 0)}"
        ) from error
