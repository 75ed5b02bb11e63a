"""Recordings: MCAP files that hold every message of a run, for replay.

`RecordingWriter` appends `Recorded` items and survives the death of its process up to the
last flush; `RecordingReader` gives back everything that is whole and names each `Loss`.
"""

from shared.recording.items import Loss, Recorded, RecordedChannel
from shared.recording.reader import RecordingReader
from shared.recording.segments import Segment, deleted_segments, find_segments
from shared.recording.writer import RecordingWriter

__all__ = [
    "Loss",
    "Recorded",
    "RecordedChannel",
    "RecordingReader",
    "RecordingWriter",
    "Segment",
    "deleted_segments",
    "find_segments",
]
