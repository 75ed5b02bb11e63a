"""Keeps what a run's producers sent in `stream.mcap`, for as long as the disk takes it."""

import logging
import os
from pathlib import Path
from typing import Final

from shared.errors import ConfigurationError, RecordingError
from shared.recording import Recorded, RecordingWriter

logger = logging.getLogger(__name__)

_FLUSH_INTERVAL_S: Final = 1.0
_LOOK_EVERY_BYTES: Final = 1 << 20
_LEFT_BYTES: Final = 256 << 20
_LEFT_SHARE: Final = 0.125


class Recorder:
    """Writes accepted items in the order of their arrival.

    An analyzer that was started again goes on in ``stream_2.mcap``, and so on: replay takes
    all of them together. When the disk takes no more, that is said once, recording stops and
    the run goes on: the last eighth of the disk, 256 MiB at most, is left to its results.

    Raises
    ------
    RecordingError
        If the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._writer: RecordingWriter | None = _create(folder)
        self._folder = folder
        self._flushed_at = 0.0
        self._unlooked_bytes = 0

    def write(self, item: Recorded) -> None:
        """Take `item`, unless recording has stopped."""
        if self._writer is None:
            return
        try:
            self._look_for_room(len(item.payload))
            self._writer.write(item)
        except RecordingError as error:
            self._stop(error)

    def flush(self, now: float) -> None:
        """Hand over to the operating system what came in the last second."""
        if self._writer is None or now - self._flushed_at < _FLUSH_INTERVAL_S:
            return
        self._flushed_at = now
        try:
            self._writer.flush()
        except RecordingError as error:
            self._stop(error)

    def close(self) -> None:
        """End the file; closing again does nothing."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except RecordingError as error:
            logger.error("the recording may lack its last second: %s", error)

    def _look_for_room(self, nbytes: int) -> None:
        """Now and then, raise `RecordingError` when what is left is not for a recording."""
        self._unlooked_bytes += nbytes
        if self._unlooked_bytes < _LOOK_EVERY_BYTES:
            return
        left, least = _room(self._folder)
        if left < least + self._unlooked_bytes:
            raise RecordingError(f"{left} bytes are left on the disk, which the results may need")
        self._unlooked_bytes = 0

    def _stop(self, error: RecordingError) -> None:
        logger.error("recording stops here, the run goes on: %s", error)
        self.close()


def _create(folder: Path) -> RecordingWriter:
    number = 1
    while True:
        name = "stream.mcap" if number == 1 else f"stream_{number}.mcap"
        try:
            return RecordingWriter(folder / name)
        except ConfigurationError:
            number += 1


def _room(folder: Path) -> tuple[int, int]:
    """Bytes that are left on a disk, and how many of them are not for recordings."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0, 0  # whoever writes will hear of it
    least = min(_LEFT_BYTES, int(_LEFT_SHARE * disk.f_blocks * disk.f_frsize))
    return disk.f_bavail * disk.f_frsize, least
