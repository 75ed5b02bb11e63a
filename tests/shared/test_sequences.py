"""`RangeSet` against Python's own `set`."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.sequences import RangeSet

ENDS = st.tuples(st.integers(-5, 40), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair)))


class AgainstASet(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ranges = RangeSet()
        self.numbers: set[int] = set()

    @rule(ends=ENDS)
    def add_range(self, ends: tuple[int, int]) -> None:
        new = set(range(ends[0], ends[1] + 1)) - self.numbers
        assert self.ranges.add(*ends) == len(new)
        self.numbers |= new

    @rule(number=st.integers(-5, 40))
    def add_one(self, number: int) -> None:
        assert self.ranges.add(number) == (number not in self.numbers)
        self.numbers.add(number)

    @rule(ends=ENDS)
    def ask_for_gaps(self, ends: tuple[int, int]) -> None:
        gaps = self.ranges.missing(*ends)
        listed = [number for first, last in gaps for number in range(first, last + 1)]
        assert listed == sorted(set(range(ends[0], ends[1] + 1)) - self.numbers)
        assert all(second > last + 1 for (_, last), (second, _) in pairwise(gaps))

    @invariant()
    def holds_the_same(self) -> None:
        assert list(self.ranges) == sorted(self.numbers)
        assert len(self.ranges) == len(self.numbers)
        assert all((number in self.ranges) == (number in self.numbers) for number in range(-6, 50))

    @invariant()
    def is_as_short_as_can_be(self) -> None:
        ranges = self.ranges.ranges
        assert all(first <= last for first, last in ranges)
        neighbors = pairwise(ranges)
        assert all(second > last + 1 for (_, last), (second, _) in neighbors)


TestAgainstASet = AgainstASet.TestCase
TestAgainstASet.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.lists(ENDS, max_size=8))
def test_the_order_of_adding_does_not_matter(ranges: list[tuple[int, int]]) -> None:
    assert RangeSet(ranges) == RangeSet(reversed(ranges))
    assert RangeSet(RangeSet(ranges).ranges) == RangeSet(ranges)


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"empty range 3\.\.2"):
        RangeSet().add(3, 2)


def test_a_set_equals_only_sets_and_says_what_it_holds() -> None:
    assert RangeSet([(1, 2)]) != [(1, 2)]
    assert repr(RangeSet([(4, 4), (1, 2)])) == "RangeSet([(1, 2), (4, 4)])"


def test_huge_ranges_cost_nothing() -> None:
    numbers = RangeSet([(1, 2**32), (2**40, 2**41)])
    assert numbers.missing(1, 2**41) == [(2**32 + 1, 2**40 - 1)]
    assert 2**33 not in numbers
