"""Reads recordings, damaged ones too: everything that is whole, and a name for what is not."""

from collections.abc import Iterator
from pathlib import Path

from shared.errors import RecordingError
from shared.recording.bytesource import ByteSource
from shared.recording.items import Loss, Recorded
from shared.recording.walk import ChunkWalk, is_recording


class RecordingReader:
    """The items of a recording, in the order in which they were written.

    Every chunk is checked against its checksum. A damaged one is left out and named in
    `losses`, and reading goes on behind it, also where its length itself is damaged or the
    file was torn. What is given was written so: it is complete, and of the run, producer,
    stream and number that it says. Memory is bounded by the largest message.

    Parameters
    ----------
    path : Path
        The file; one that is still being written may be read up to its last flush.

    Attributes
    ----------
    losses : list of Loss
        What the latest iteration could not read, in order of offset, as far as it went. A
        file without its end record has one that says "not closed".

    Raises
    ------
    RecordingError
        If the file cannot be read or is no MCAP file. While iterating: if the disk fails.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.losses: list[Loss] = []
        with ByteSource(path) as source:
            if not is_recording(source):
                raise RecordingError(
                    f"{path} is not an MCAP recording: its {source.nbytes} bytes neither begin "
                    "like one nor hold a chunk"
                )

    def __iter__(self) -> Iterator[Recorded]:
        return self.read_from(0)

    def read_from(self, offset: int) -> Iterator[Recorded]:
        """The items behind `offset`, where a chunk begins (`RecordingWriter.whole_nbytes`)."""
        losses: list[Loss] = []
        self.losses = losses
        with ByteSource(self._path) as source:
            yield from ChunkWalk(source, losses, first=offset)
