"""What is said of a tile besides its marks: how sure, why not, what had been seen by then."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

LONGEST_TEXT = 10_000

Text = Annotated[str, Field(strict=True, max_length=LONGEST_TEXT)]
Time = Annotated[str, Field(strict=True, max_length=40)]
Confidence = Literal["low", "medium", "high"]
Status = Literal["open", "marked", "nothing", "skipped"]


class Record(BaseModel):
    """One reader's record of one tile.

    Attributes
    ----------
    confidence : {"low", "medium", "high"} or None
    comment : str
    skip_reason : str or None
        Why the tile was not read; then it says nothing, whatever is marked in it.
    nothing : bool
        The reader looked and says that there is nothing.
    attention_shown_at, others_shown_at : str or None
        When attention, or the marks of others, were first shown to the reader on this tile; ISO
        8601 in UTC. Never unset.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    confidence: Confidence | None = None
    comment: Text = ""
    skip_reason: Text | None = None
    nothing: StrictBool = False
    attention_shown_at: Time | None = None
    others_shown_at: Time | None = None

    def but(self, **changes: object) -> "Record":
        """The record with some of it changed."""
        return self.model_copy(update=changes)

    def status(self, marks: int) -> Status:
        """What the tile of this record and so many marks counts as."""
        if self.skip_reason is not None:
            return "skipped"
        if marks:
            return "marked"
        return "nothing" if self.nothing else "open"


def now() -> str:
    """The time, as files and answers have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
