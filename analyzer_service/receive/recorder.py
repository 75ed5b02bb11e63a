"""Keeps what a run's producers sent in `stream.mcap`, for as long as the disk takes it."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from shared.errors import ConfigurationError, RecordingError
from shared.recording import Recorded, RecordingWriter, Segment, find_segments
from shared.recording.chunks import CHUNK_BYTES
from shared.recording.items import ChannelKey

logger = logging.getLogger(__name__)

_FLUSH_INTERVAL_S: Final = 1.0
_LOOK_EVERY_BYTES: Final = 1 << 20
_LEFT_BYTES: Final = 256 << 20
_LEFT_SHARE: Final = 0.125
_SEGMENTS: Final = 8
_FIRST_RECORD: Final = 1


class Recorder:
    """Writes accepted items in the order of their arrival.

    An analyzer that was started again goes on in ``stream_2.mcap``, and so on: replay takes
    all of them together. When the disk takes no more, that is said once, recording stops and
    the run goes on: the last eighth of the disk, 256 MiB at most, is left to its results.

    With `limit_bytes` a file of an eighth of that is followed by the next one
    (`shared.recording.segments`), and the oldest ones, of earlier starts too, are deleted so
    that all of them together stay within it. Each begins with what producers said of the run as
    they started, so that it can be replayed by itself.

    Parameters
    ----------
    folder : Path
        The run's.
    limit_bytes : int, optional
        Largest size of all files together, a last item that is larger than a segment aside.
    starts : iterable of Recorded
        First records that an earlier analyzer received, for segments of their own.

    Raises
    ------
    RecordingError
        If the file cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit_bytes: int | None = None,
        starts: Iterable[Recorded] = (),
    ) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._flushed_at = 0.0
        self._unlooked_bytes = 0
        self._starts: dict[ChannelKey, Recorded] = {}
        self._head_bytes = 0
        self._segment, writer = _create(folder)
        self._writer: RecordingWriter | None = writer
        for item in starts if limit_bytes is not None else ():
            self._starts[item.key] = item
        try:
            self._make_room()
            self._begin(writer)
        except RecordingError:
            self.close()
            raise

    def write(self, item: Recorded) -> None:
        """Take `item`, unless recording has stopped."""
        if self._writer is None:
            return
        try:
            self._look_for_room(len(item.payload))
            self._segment_for(item).write(item)
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

    def _segment_for(self, item: Recorded) -> RecordingWriter:
        """The file that takes `item`: the next one, if this one would be too large with it."""
        assert self._writer is not None, "asked only while recording"
        if self._limit_bytes is None:
            return self._writer
        full = self._writer.nbytes + len(item.payload) > self._segment_bytes
        if full and self._writer.nbytes > self._head_bytes:
            self._writer.close()
            self._segment = self._segment._replace(number=self._segment.number + 1)
            self._make_room()
            self._writer = _open_new(self._folder / self._segment.name)
            self._begin(self._writer)
        if item.channel == "ctl" and item.sequence == _FIRST_RECORD:
            self._starts[item.key] = item
        return self._writer

    @property
    def _segment_bytes(self) -> int:
        return (self._limit_bytes or 0) // _SEGMENTS

    def _begin(self, writer: RecordingWriter) -> None:
        for item in self._starts.values():
            writer.write(item)
        self._head_bytes = writer.nbytes

    def _make_room(self) -> None:
        """Delete the oldest segments, so that a whole one fits within the limit."""
        if self._limit_bytes is None:
            return
        older = [each for each in find_segments(self._folder) if each != self._segment]
        sizes = {each: _size_of(self._folder / each.name) for each in older}
        room = self._limit_bytes - self._segment_bytes - CHUNK_BYTES  # of what stands around it
        while sizes and sum(sizes.values()) > room:
            oldest = min(sizes)
            del sizes[oldest]
            try:
                (self._folder / oldest.name).unlink(missing_ok=True)
            except OSError as error:
                raise RecordingError(f"{oldest.name} cannot be deleted: {error}") from error
            logger.info("%s is deleted: the recording has reached its limit", oldest.name)

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


def _create(folder: Path) -> tuple[Segment, RecordingWriter]:
    """A recording that comes after those that `folder` holds."""
    start = max((segment.start for segment in find_segments(folder)), default=0)
    while True:
        segment = Segment(start + 1, 0)
        try:
            return segment, RecordingWriter(folder / segment.name)
        except ConfigurationError:
            start += 1


def _open_new(path: Path) -> RecordingWriter:
    try:
        return RecordingWriter(path)
    except ConfigurationError as error:  # somebody else put a file of that name there
        raise RecordingError(str(error)) from error


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _room(folder: Path) -> tuple[int, int]:
    """Bytes that are left on a disk, and how many of them are not for recordings."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0, 0  # whoever writes will hear of it
    least = min(_LEFT_BYTES, int(_LEFT_SHARE * disk.f_blocks * disk.f_frsize))
    return disk.f_bavail * disk.f_frsize, least
