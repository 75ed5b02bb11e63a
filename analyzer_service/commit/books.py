"""The books of one stream of frames: ``offered = delivered + dropped + pending``.

Each is a counter of its own, changed by events; none is computed as the remainder of the
others, so that `balanced` can fail. Everything up to `floor` belongs to released batches and is
settled: `arrived` holds it whole, as frames that need not be sent (again), and only numbers
beyond it are told apart.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from shared.messages import Totals
from shared.sequences import Range, RangeSet

UNDECODABLE: Final = "undecodable"
_FORGET_BEYOND: Final = 64


@dataclass
class StreamBooks:
    """Counts of one stream of one producer, and what is known of its unsettled frames."""

    offered: int = 0
    delivered: int = 0
    dropped: int = 0
    pending: int = 0
    late: int = 0
    floor: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    known: RangeSet = field(default_factory=RangeSet)
    arrived: RangeSet = field(default_factory=RangeSet)
    spoiled: RangeSet = field(default_factory=RangeSet)
    given_up: dict[str, RangeSet] = field(default_factory=dict)

    def offer(self, fseq: int) -> None:
        """A batch named its frame."""
        if not self.known.add(fseq):
            return
        self.offered += 1
        reason = self.reason(fseq)
        if fseq in self.arrived and fseq not in self.spoiled:
            self.delivered += 1
        elif reason is not None:
            self._drop(reason, 1)
        else:
            self.pending += 1

    def unnamed(self, last: int) -> list[Range]:
        """Frames up to `last` that no batch named, and that have neither come nor been given up.

        Frames are numbered as they are offered, so a number tells of all before it.
        """
        parts = self.known.missing(self.floor + 1, last)
        parts = _without(self.arrived, parts)
        for numbers in self.given_up.values():
            parts = _without(numbers, parts)
        return parts

    def offer_unnamed(self, last: int) -> None:
        """Count the frames up to `last` that no batch named as what they are: offered."""
        for part in self.known.missing(self.floor + 1, last):
            self.known.add(*part)
            self.offered += _size([part])
            came, spoiled = self.arrived.within(*part), self.spoiled.within(*part)
            self.delivered += _size(came) - _size(spoiled)
            rest = _without(self.arrived, [part]) + spoiled
            for reason, numbers in self.given_up.items():
                lost = [gap for each in rest for gap in numbers.within(*each)]
                if lost:
                    self._drop(reason, _size(lost))
                rest = _without(numbers, rest)
            self.pending += _size(rest)

    def take(self, fseq: int, *, readable: bool = True) -> None:
        """A frame arrived and was dealt with; one that cannot be read counts as dropped."""
        if fseq in self.arrived:
            return
        if readable:
            self._deliver(fseq)
        else:
            self.spoiled.add(fseq)
            self.give_up(fseq, fseq, UNDECODABLE)
        self.arrived.add(fseq)

    def give_up(self, first: int, last: int, reason: str) -> None:
        """Frames `first` to `last` will not arrive; one that has arrived all the same stays."""
        fresh = self._unexplained(first, last)
        self.given_up.setdefault(reason, RangeSet()).add(first, last)
        for part in fresh:
            count = _size(self._awaited(part))
            self.pending -= count
            self._drop(reason, count)

    def reason(self, fseq: int) -> str | None:
        """Why frame `fseq` will not arrive, as far as that is known."""
        return next((name for name, numbers in self.given_up.items() if fseq in numbers), None)

    def settle(self, fseq: int) -> None:
        """The batch of frame `fseq` is released: nothing up to it can change any more."""
        if fseq <= self.floor:
            return
        self.floor = fseq
        self.known.add(1, fseq)
        self.arrived.add(1, fseq)
        if sum(len(numbers.ranges) for numbers in self.given_up.values()) > _FORGET_BEYOND:
            self.given_up = {
                reason: RangeSet(part for part in numbers.ranges if part[1] > fseq)
                for reason, numbers in self.given_up.items()
            }

    def totals(self) -> Totals:
        """The counts."""
        return Totals(
            offered=self.offered,
            delivered=self.delivered,
            dropped=self.dropped,
            pending=self.pending,
        )

    @property
    def balanced(self) -> bool:
        """Tell whether every offered frame is counted exactly once."""
        return self.offered == self.delivered + self.dropped + self.pending

    def _deliver(self, fseq: int) -> None:
        if fseq not in self.known:
            return
        self.delivered += 1
        reason = self.reason(fseq)
        if reason is None:
            self.pending -= 1
        else:
            self._drop(reason, -1)

    def _unexplained(self, first: int, last: int) -> list[Range]:
        """Parts of a range that no earlier notice covers."""
        parts = [(first, last)]
        for numbers in self.given_up.values():
            parts = _without(numbers, parts)
        return parts

    def _awaited(self, part: Range) -> list[Range]:
        """Parts of a range that were offered and have not arrived."""
        return _without(self.arrived, self.known.within(*part))

    def _drop(self, reason: str, count: int) -> None:
        self.dropped += count
        self.reasons[reason] += count


def _without(numbers: RangeSet, parts: list[Range]) -> list[Range]:
    return [gap for part in parts for gap in numbers.missing(*part)]


def _size(parts: list[Range]) -> int:
    return sum(last - first + 1 for first, last in parts)
