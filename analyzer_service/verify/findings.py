"""What a check found: facts for people, and faults, one a line."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from shared.sequences import Range, RangeSet

_SHOWN: Final = 8


@dataclass
class Findings:
    """Lines that say what is there, and lines that say what is missing or damaged."""

    facts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is missing or damaged."""
        return not self.faults

    def lines(self) -> list[str]:
        """Everything, the verdict last."""
        count = len(self.faults)
        verdict = "sound" if self.sound else f"{count} {'fault' if count == 1 else 'faults'}"
        return [*self.facts, *(f"fault: {fault}" for fault in self.faults), verdict]


def numbers(ranges: Iterable[Range]) -> str:
    """Ranges in words, the first eight of them.

    Examples
    --------
    >>> numbers([(3, 3), (7, 9)])
    '3, 7 to 9'
    """
    listed = list(ranges)
    parts = [str(first) if first == last else f"{first} to {last}" for first, last in listed]
    more = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f" and {more} more ranges" if more > 0 else "")


def without(ranges: Iterable[Range], taken: RangeSet) -> list[Range]:
    """Parts of `ranges` that `taken` does not hold.

    Examples
    --------
    >>> without([(1, 9)], RangeSet([(2, 4), (6, 6)]))
    [(1, 1), (5, 5), (7, 9)]
    """
    return [gap for part in ranges for gap in taken.missing(*part)]


def size(ranges: Iterable[Range]) -> int:
    """How many numbers `ranges` hold together."""
    return sum(last - first + 1 for first, last in ranges)
