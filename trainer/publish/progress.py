"""What a publisher says of itself while it works."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shared.messages import Books, RecordTotals, Stream, Totals

if TYPE_CHECKING:
    from trainer.publish.frames import FrameWindow
    from trainer.publish.inbox import Inbox
    from trainer.publish.intake import Intake
    from trainer.publish.records import UnackedWindow


@dataclass(frozen=True)
class Progress:
    """A snapshot that the sender thread took: its books and what is not acknowledged.

    `not_taken` is how many records of the books' lost ones were handed over in vain, `read` how
    many batches and events of the inbox the books know; `without_values` counts batches that are
    recorded, but whose values never came.
    """

    books: Books = field(default_factory=Books)
    not_taken: int = 0
    read: int = 0
    without_values: int = 0
    connected: bool = False
    ever_connected: bool = False
    refusal: str | None = None
    capture_failures: int = 0
    journal: Path | None = None
    run_folder: str | None = None

    @property
    def totals(self) -> Mapping[Stream, Totals]:
        """Books of the frames by stream."""
        return self.books.frames

    @property
    def records_unacked(self) -> int:
        """Records that the analyzer has not committed."""
        return self.books.records.pending


def count_books(
    intake: "Intake", window: "UnackedWindow", frames: "FrameWindow", *, not_taken: int
) -> Books:
    """The books as they are now; on the sender thread, which owns all three."""
    return Books(
        frames=frames.totals(),
        drops=frames.drops(),
        records=RecordTotals(
            offered=intake.offered + not_taken,
            committed=window.acked_cseq,
            lost=intake.lost + not_taken,
            pending=window.pending,
        ),
        waiting_bytes=frames.held_bytes + window.nbytes,
    )


def final_books(progress: Progress, inbox: "Inbox") -> Books:
    """The latest books, with what a sender that failed or stands still has not looked at."""
    records = progress.books.records
    in_vain = inbox.not_taken - progress.not_taken
    waiting = inbox.handed_over - progress.read
    counted = {
        "offered": records.offered + in_vain + waiting,
        "lost": records.lost + in_vain,
        "pending": records.pending + waiting,
    }
    return progress.books.model_copy(update={"records": records.model_copy(update=counted)})
