import doctest

import pytest

from shared import books, protocol
from shared.books import frames_balance, records_balance
from shared.messages import RecordTotals, Totals


@pytest.mark.parametrize("module", [books, protocol])
def test_examples_are_true(module: object) -> None:
    failed, tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert (failed, tried > 0) == (0, True)


def test_frames_that_are_counted_twice_or_never_do_not_balance() -> None:
    assert frames_balance(Totals(offered=6, delivered=1, dropped=2, pending=3))
    assert not frames_balance(Totals(offered=5, delivered=1, dropped=2, pending=3))
    assert not frames_balance(Totals(offered=7, delivered=1, dropped=2, pending=3))


def test_records_that_are_counted_twice_or_never_do_not_balance() -> None:
    assert records_balance(RecordTotals(offered=6, committed=1, lost=2, pending=3))
    assert not records_balance(RecordTotals(offered=5, committed=1, lost=2, pending=3))
    assert not records_balance(RecordTotals(offered=7, committed=1, lost=2, pending=3))
