"""Bounds of the sidecar on the training side, each in bytes or seconds."""

from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True)
class PublishSettings:
    """How much may wait, and for how long.

    Attributes
    ----------
    capture_bytes
        Tensors held by reference until the sender thread has copied them.
    queue_bytes
        Encoded frames that wait for the analyzer; the oldest of a stream is dropped first.
    unacked_bytes
        Critical records in memory that the analyzer has not yet committed; beyond it they
        wait in the journal.
    journal_bytes
        Frames written to the journal while the analyzer is away. Scalars have no such cap.
    journal_dir
        Folder of the journal; it is made when something has to be written.
    flush_interval_s
        A record that is unacked for so long stands in the flushed journal.
    poll_interval_s
        Longest time between two looks of the sender thread at what was handed over.
    close_timeout_s
        Longest time that closing waits for the analyzer.
    first_answer_timeout_s
        Longest time that closing waits for an analyzer that never answered at all.
    """

    capture_bytes: int = 256 * MIB
    queue_bytes: int = 256 * MIB
    unacked_bytes: int = 64 * MIB
    journal_bytes: int = 1024 * MIB
    journal_dir: Path = Path()
    flush_interval_s: float = 0.2
    poll_interval_s: float = 0.01
    close_timeout_s: float = 10.0
    first_answer_timeout_s: float = 1.0
