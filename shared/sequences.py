"""Sequence bookkeeping: sets of numbers kept as ranges, and the books of one stream."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class RangeSet:
    """A set of whole numbers, kept as sorted, disjoint, inclusive ranges.

    Examples
    --------
    >>> numbers = RangeSet([(1, 3)])
    >>> numbers.add(5), numbers.add(4), numbers.add(4)
    (1, 1, 0)
    >>> numbers.ranges, 2 in numbers, len(numbers)
    ([(1, 5)], True, 5)
    """

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._count = 0
        for first, last in ranges:
            self.add(first, last)

    @property
    def ranges(self) -> list[Range]:
        """The ranges, ascending."""
        return list(zip(self._starts, self._ends, strict=True))

    def add(self, first: int, last: int | None = None) -> int:
        """Add `first` to `last` (both included); return how many numbers are new."""
        last = first if last is None else last
        if last < first:
            raise ValueError(f"empty range {first}..{last}")
        left = bisect_left(self._ends, first - 1)
        right = bisect_right(self._starts, last + 1)
        overlapped = self._starts[left:right], self._ends[left:right]
        held = sum(end - start + 1 for start, end in zip(*overlapped, strict=True))
        start = min([first, *overlapped[0]])
        end = max([last, *overlapped[1]])
        self._starts[left:right], self._ends[left:right] = [start], [end]
        added = (end - start + 1) - held
        self._count += added
        return added

    def missing(self, first: int, last: int) -> list[Range]:
        """Ranges between `first` and `last` (both included) that are not in the set."""
        gaps: list[Range] = []
        at = first
        for i in range(bisect_left(self._ends, first), len(self._starts)):
            if self._starts[i] > last:
                break
            if self._starts[i] > at:
                gaps.append((at, self._starts[i] - 1))
            at = self._ends[i] + 1
        if at <= last:
            gaps.append((at, last))
        return gaps

    def within(self, first: int, last: int) -> list[Range]:
        """Parts of the set between `first` and `last` (both included)."""
        found: list[Range] = []
        for i in range(bisect_left(self._ends, first), len(self._starts)):
            if self._starts[i] > last:
                break
            found.append((max(first, self._starts[i]), min(last, self._ends[i])))
        return found

    def __contains__(self, number: int) -> bool:
        i = bisect_right(self._starts, number) - 1
        return i >= 0 and number <= self._ends[i]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and self.ranges == other.ranges

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RangeSet({self.ranges})"
