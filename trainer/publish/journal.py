"""The producer's file: a recording of everything, or a journal of what could not be delivered.

Both are the same MCAP file and replay in the same way.
"""

import logging
import math
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from shared.codec import Buffer, encode, join, split
from shared.errors import ConfigurationError, RecordingError, SidelightError
from shared.messages import RunStarted
from shared.recording import Recorded, RecordingReader, RecordingWriter
from trainer.publish.frames import PendingFrame
from trainer.publish.records import PendingRecord

log = logging.getLogger(__name__)

_RETRY_S: Final = 2.0
_INDEXED_EVERY: Final = 256
_FRAMES_SHARE: Final = 0.25
_OUTGROWN_SHARE: Final = 0.75


class Journal:
    """One MCAP file, made when the first thing is written.

    A disk that fails is said once, and tried again every 2 s: what could not be written stays
    with the caller.

    Parameters
    ----------
    run : RunStarted
        Whose records they are.
    path : Path
        The file. A journal moves on to ``-2``, ``-3``, … when it exists; a recording does not
        start.
    everything : bool
        True for a recording that the user asked for: it exists from the start.
    limit_bytes : int or None
        Largest size of the file, of which frames get a quarter; None for no such limit.

    Raises
    ------
    ConfigurationError
        If a recording's file exists or cannot be made.
    """

    def __init__(
        self, run: RunStarted, path: Path, *, everything: bool, limit_bytes: int | None
    ) -> None:
        self._run = run
        self._path = path
        self._limit_bytes = limit_bytes
        self._limit_said = False
        self._frame_bytes = 0
        self._dirty = False
        self._failed_at_s: float | None = None
        self._writer: RecordingWriter | None = None
        self._index: list[tuple[int, int]] = []
        self.everything = everything
        self.full = False
        if everything:
            try:
                self._writer = RecordingWriter(self._path)
            except RecordingError as error:
                raise ConfigurationError(f"{error}: choose another file") from error

    @property
    def failing(self) -> bool:
        """Whether the disk did not take what was written last."""
        return self._failed_at_s is not None

    @property
    def takes(self) -> bool:
        """Whether it is worth trying to write: a disk that failed is left alone for 2 s."""
        return self._failed_at_s is None or time.monotonic() >= self._failed_at_s + _RETRY_S

    @property
    def holds_frames(self) -> bool:
        """Whether any frame was written."""
        return self._frame_bytes > 0

    @property
    def path(self) -> Path | None:
        """The file, or None when nothing was ever written."""
        return self._path if self._writer is not None else None

    def write_record(self, record: PendingRecord) -> bool:
        """Write a critical record; False when the file may not grow or the disk failed."""
        offset = 0 if self._writer is None else self._writer.whole_nbytes
        written = self._write("ctl", record.cseq, record.captured_at_ns, record.parts)
        if written and record.cseq % _INDEXED_EVERY == 0:
            self._index.append((record.cseq, offset))
        return written

    def write_frame(self, frame: PendingFrame) -> bool:
        """Write a frame; False when it does not fit under the limit or the disk failed."""
        limit = math.inf if self._limit_bytes is None else _FRAMES_SHARE * self._limit_bytes
        if self._frame_bytes + frame.nbytes > limit:
            self.full = True
        if not self.full and self._write(
            frame.stream, frame.fseq, frame.captured_at_ns, frame.parts
        ):
            self._frame_bytes += frame.nbytes
            frame.journaled = True
        return frame.journaled

    @property
    def outgrown(self) -> bool:
        """Whether the file is to be begun anew as soon as nothing in it is missing elsewhere."""
        limit, writer = self._limit_bytes, self._writer
        return limit is not None and writer is not None and writer.nbytes > _OUTGROWN_SHARE * limit

    def begin_anew(self) -> None:
        """Remove the file: the analyzer has every record of it. The next write makes a new one."""
        dropped = ", and frames in it that were dropped cannot be replayed any more"
        log.info(
            "%s begins anew: the analyzer has its records%s",
            *(self._path, dropped if self.holds_frames else ""),
        )
        self.close(keep=False)
        self._index.clear()
        self._frame_bytes = 0
        self._dirty = self._limit_said = self.full = False

    def try_again(self) -> None:
        """Do not wait for the next try: there may be none."""
        if self._failed_at_s is not None:
            self._failed_at_s = -math.inf

    def flush(self) -> bool:
        """Hand what was written to the operating system; False when it did not take it."""
        if self._writer is not None and self._dirty and self.takes:
            try:
                self._writer.flush()
            except (OSError, SidelightError) as error:
                self._fail(error)
            else:
                self._dirty = False
                self._heal()
        return not self._dirty

    def records(self, first: int, last: int) -> Iterator[tuple[int, list[Buffer]] | None]:
        """Critical records `first` to `last` as parts, read back from the file.

        None is given for whatever else stands between them, so that the caller can do other
        things meanwhile. Records that are damaged are left out.

        Raises
        ------
        RecordingError
            If the file cannot be read.
        """
        place = bisect_right(self._index, (first, 0)) - 1
        offset = self._index[place][1] if place >= 0 else 0
        for item in RecordingReader(self._path).read_from(offset):
            wanted = item.channel == "ctl" and first <= item.sequence <= last
            yield (item.sequence, list(split(item.payload))) if wanted else None
            if item.channel == "ctl" and item.sequence >= last:
                return

    def close(self, *, keep: bool) -> None:
        """End the file; without `keep` it is removed, for it holds nothing that is missing."""
        if self._writer is None:
            return
        try:
            self._writer.close()
        except (OSError, SidelightError) as error:
            self._fail(error)
        if not keep:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            self._writer = None

    def _write(self, channel: str, sequence: int, at_ns: int, parts: list[Buffer]) -> bool:
        if not self.takes:
            return False
        try:
            taken = self._open().write(self._item(channel, sequence, at_ns, parts))
        except (OSError, SidelightError) as error:
            self._fail(error)
            return False
        self._dirty = self._dirty or taken
        if not taken:
            self._say_limit()
        return taken

    def _open(self) -> RecordingWriter:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._make()
            # A journal that begins in the middle of a run still says which run it is.
            first = encode(self._run)
            self._writer.write(self._item("ctl", 1, self._run.started_at_ns, first))
        return self._writer

    def _say_limit(self) -> None:
        if not self._limit_said:
            self._limit_said = True
            log.error(
                "%s has reached its %d bytes (journal_mib): further records wait in memory, "
                "training goes on",
                *(self._path, self._limit_bytes),
            )

    def _make(self) -> RecordingWriter:
        """A new file; every rank of a run may write its journal to the same folder."""
        stem, number = self._path.stem, 1
        while True:
            try:
                return RecordingWriter(self._path, limit_bytes=self._limit_bytes)
            except ConfigurationError:
                number += 1
                self._path = self._path.with_name(f"{stem}-{number}{self._path.suffix}")

    def _item(self, channel: str, sequence: int, at_ns: int, parts: list[Buffer]) -> Recorded:
        return Recorded(
            run_id=self._run.run_id,
            run_name=self._run.run_name,
            producer=self._run.producer,
            incarnation=self._run.incarnation,
            channel=channel,  # type: ignore[arg-type]
            sequence=sequence,
            captured_at_ns=at_ns,
            payload=join(parts),
        )

    def _fail(self, error: Exception) -> None:
        if self._failed_at_s is None:
            log.error("%s cannot be written (%s); training goes on", self._path, error)
        self._failed_at_s = time.monotonic()

    def _heal(self) -> None:
        if self._failed_at_s is not None:
            log.warning("%s is written again", self._path)
        self._failed_at_s = None
