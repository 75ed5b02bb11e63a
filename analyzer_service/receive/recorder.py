"""Keeps what a run's producers sent in `stream.mcap`, for as long as the disk takes it."""

import logging
from pathlib import Path
from typing import Final

from shared.errors import ConfigurationError, RecordingError
from shared.recording import Recorded, RecordingWriter

logger = logging.getLogger(__name__)

_FLUSH_INTERVAL_S: Final = 1.0


class Recorder:
    """Writes accepted items in the order of their arrival.

    An analyzer that was started again goes on in ``stream_2.mcap``, and so on: replay takes
    all of them together. When the disk takes no more, that is said once, recording stops and
    the run goes on.

    Raises
    ------
    RecordingError
        If the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._writer: RecordingWriter | None = _create(folder)
        self._flushed_at = 0.0

    def write(self, item: Recorded) -> None:
        """Take `item`, unless recording has stopped."""
        if self._writer is None:
            return
        try:
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
