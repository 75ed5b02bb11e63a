"""The producer's file: a recording of everything, or a journal of what could not be delivered.

Both are the same MCAP file and replay in the same way.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from shared.codec import Buffer, encode, join, split
from shared.errors import SidelightError
from shared.messages import RunStarted
from shared.recording import Recorded, RecordingReader, RecordingWriter
from trainer.publish.frames import PendingFrame
from trainer.publish.records import PendingRecord

log = logging.getLogger(__name__)


class Journal:
    """One MCAP file, made when the first thing is written; a failing disk is said once.

    Parameters
    ----------
    run : RunStarted
        Whose records they are.
    path : Path
        The file. A journal moves on to ``-2``, ``-3``, … when it exists; a recording does not
        start.
    everything : bool
        True for a recording that the user asked for: it exists from the start.
    frame_limit_bytes : int or None
        Most bytes of frames that are written.

    Raises
    ------
    ConfigurationError
        If a recording's file exists or cannot be made.
    """

    def __init__(
        self, run: RunStarted, path: Path, *, everything: bool, frame_limit_bytes: int | None
    ) -> None:
        self._run = run
        self._path = path if everything else _free_name(path)
        self._frame_limit_bytes = frame_limit_bytes
        self._frame_bytes = 0
        self._dirty = False
        self._writer: RecordingWriter | None = None
        self.everything = everything
        self.failed = False
        if everything:
            self._writer = RecordingWriter(self._path)

    @property
    def holds_frames(self) -> bool:
        """Whether any frame was written."""
        return self._frame_bytes > 0

    @property
    def path(self) -> Path | None:
        """The file, or None when nothing was ever written."""
        return self._path if self._writer is not None else None

    def write_record(self, record: PendingRecord) -> bool:
        """Write a critical record; False when the disk failed."""
        if self._write("ctl", record.cseq, record.captured_at_ns, record.parts):
            record.journaled = True
        return record.journaled

    def write_frame(self, frame: PendingFrame) -> bool:
        """Write a frame; False when it does not fit under the limit or the disk failed."""
        limit = self._frame_limit_bytes
        if limit is not None and self._frame_bytes + frame.nbytes > limit:
            return False
        if self._write(frame.stream, frame.fseq, frame.captured_at_ns, frame.parts):
            self._frame_bytes += frame.nbytes
            frame.journaled = True
        return frame.journaled

    def flush(self) -> None:
        """Hand everything written to the operating system."""
        if self._writer is None or not self._dirty or self.failed:
            return
        try:
            self._writer.flush()
            self._dirty = False
        except (OSError, SidelightError) as error:
            self._fail(error)

    def records(self, first: int, last: int) -> Iterator[tuple[int, list[Buffer]]]:
        """Critical records `first` to `last` as parts, read back from the file."""
        self.flush()
        for item in RecordingReader(self._path):
            if item.channel == "ctl" and first <= item.sequence <= last:
                yield item.sequence, list(split(item.payload))

    def close(self, *, keep: bool) -> None:
        """End the file; without `keep` it is removed, for it holds nothing that is missing."""
        if self._writer is None:
            return
        try:
            self._writer.close()
        except (OSError, SidelightError) as error:
            self._fail(error)
        if not keep:
            self._path.unlink(missing_ok=True)
            self._writer = None

    def _write(self, channel: str, sequence: int, at_ns: int, parts: list[Buffer]) -> bool:
        if self.failed:
            return False
        try:
            self._open().write(self._item(channel, sequence, at_ns, parts))
        except (OSError, SidelightError) as error:
            self._fail(error)
            return False
        self._dirty = True
        return True

    def _open(self) -> RecordingWriter:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = RecordingWriter(self._path)
            # A journal that begins in the middle of a run still says which run it is.
            first = encode(self._run)
            self._writer.write(self._item("ctl", 1, self._run.started_at_ns, first))
        return self._writer

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
        self.failed = True
        log.error("%s cannot be written any more (%s); training goes on", self._path, error)


def _free_name(path: Path) -> Path:
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
