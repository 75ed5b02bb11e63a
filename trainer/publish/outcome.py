"""How the delivery of a run ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.messages import Books, Stream, Totals


@dataclass(frozen=True)
class PublishOutcome:
    """How a run's delivery ended.

    Attributes
    ----------
    books
        Of frames, ``offered = delivered + dropped + pending``, with the reasons of the drops,
        and of records, ``offered = committed + lost + pending``.
    complete
        Whether every record is committed and every offered frame delivered.
    without_values
        Batches that are recorded, but whose values never came.
    journal
        The file with what could not be delivered (or the recording), if there is one.
    refusal
        The analyzer's reason, when it refused the run.
    longest_handoff_us
        Longest time that the training thread took to hand a batch over, capturing included, in
        microseconds.
    """

    books: Books
    complete: bool
    without_values: int
    journal: Path | None
    refusal: str | None
    run_folder: str | None
    longest_handoff_us: float

    @property
    def totals(self) -> Mapping[Stream, Totals]:
        """Books of the frames by stream."""
        return self.books.frames

    @property
    def records_unacked(self) -> int:
        """Records that the analyzer has not committed."""
        return self.books.records.pending

    @property
    def records_lost(self) -> int:
        """Records that were not kept, or have not their values."""
        return self.books.records.lost + self.without_values


NOTHING_KNOWN: Final = PublishOutcome(
    books=Books(),
    complete=False,
    without_values=0,
    journal=None,
    refusal=None,
    run_folder=None,
    longest_handoff_us=0.0,
)
"""What a copy of a publisher says: another process delivers."""
