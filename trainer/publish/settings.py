"""Bounds of the sidecar on the training side, each in bytes or seconds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from trainer.limits import MIB, Limits


@dataclass(frozen=True)
class PublishSettings:
    """How much may wait, and for how long.

    Attributes
    ----------
    capture_bytes
        Tensors held by reference until the sender thread has copied them, and their copies.
    queue_bytes
        Encoded frames that wait for the analyzer or were sent and are not confirmed yet (half
        of it at most); the oldest waiting one of a stream is dropped first.
    unacked_bytes
        Critical records in memory that the analyzer has not yet committed; beyond it they
        wait in the journal.
    journal_bytes
        The journal file, of which frames get a quarter at most.
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

    capture_bytes: int = Limits.capture_mib * MIB
    queue_bytes: int = Limits.queue_mib * MIB
    unacked_bytes: int = Limits.unacked_mib * MIB
    journal_bytes: int = Limits.journal_mib * MIB
    journal_dir: Path = Path()
    flush_interval_s: float = 0.2
    poll_interval_s: float = 0.01
    close_timeout_s: float = 10.0
    first_answer_timeout_s: float = 1.0

    @classmethod
    def within(cls, limits: Limits, **others: Any) -> Self:
        """Settings whose bounds are those of `limits`."""
        return cls(
            capture_bytes=limits.capture_mib * MIB,
            queue_bytes=limits.queue_mib * MIB,
            unacked_bytes=limits.unacked_mib * MIB,
            journal_bytes=limits.journal_mib * MIB,
            **others,
        )
