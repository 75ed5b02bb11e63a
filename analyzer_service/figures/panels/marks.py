"""In or out of a good range, readable without color: a symbol and a word."""

from dataclasses import dataclass

from analyzer_service.figures.lettering import BAD, GOOD, MUTED
from analyzer_service.figures.ranges import Verdict


@dataclass(frozen=True)
class Mark:
    """How a verdict is written."""

    text: str
    color: str


_MARKS: dict[Verdict, Mark] = {
    "in": Mark("✓ in range", GOOD),
    "below": Mark("▼ too low", BAD),
    "above": Mark("▲ too high", BAD),
    "undefined": Mark("– undefined", MUTED),
}


def mark(verdict: Verdict) -> Mark:
    """The mark of a verdict."""
    return _MARKS[verdict]
