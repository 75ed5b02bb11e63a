"""The books of frames and records in words: the same ones wherever they are shown."""

from collections.abc import Mapping

from shared.messages import Books, RecordTotals, Totals


def frames_in_words(totals: Totals, drops: Mapping[str, int] | None = None) -> str:
    """Books of one stream, with the reasons of its drops, the most frequent first.

    Examples
    --------
    >>> books = Totals(offered=1204, delivered=1200, dropped=4)
    >>> frames_in_words(books, {"closed": 1, "queue_full": 3})
    'offered 1,204 = delivered 1,200 + dropped 4 (3 queue_full, 1 closed) + pending 0'
    """
    dropped = f"{totals.dropped:,}{_reasons(drops or {})}"
    return (
        f"offered {totals.offered:,} = delivered {totals.delivered:,} + dropped {dropped} "
        f"+ pending {totals.pending:,}"
    )


def records_in_words(records: RecordTotals) -> str:
    """Books of a producer's critical records.

    Examples
    --------
    >>> records_in_words(RecordTotals(offered=1312, committed=1310, lost=2))
    'handed over 1,312 = committed 1,310 + lost 2 + pending 0'
    """
    return (
        f"handed over {records.offered:,} = committed {records.committed:,} "
        f"+ lost {records.lost:,} + pending {records.pending:,}"
    )


def books_in_words(books: Books) -> list[tuple[str, str]]:
    """What each line of `books` is about, and its words; streams that offered nothing are left out.

    Examples
    --------
    >>> books = Books(frames={"train": Totals(offered=2, delivered=2), "val": Totals()})
    >>> [what for what, _ in books_in_words(books)]
    ['Frames train', 'Records']
    """
    lines = [
        (f"Frames {stream}", frames_in_words(totals, books.drops.get(stream)))
        for stream, totals in books.frames.items()
        if totals.offered
    ]
    return [*lines, ("Records", records_in_words(books.records))]


def frames_balance(totals: Totals) -> bool:
    """Tell whether every offered frame is counted exactly once."""
    return totals.offered == totals.delivered + totals.dropped + totals.pending


def records_balance(records: RecordTotals) -> bool:
    """Tell whether every record that was handed over is counted exactly once."""
    return records.offered == records.committed + records.lost + records.pending


def _reasons(drops: Mapping[str, int]) -> str:
    named = sorted(drops.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count:,} {reason}" for reason, count in named if count]
    return f" ({', '.join(parts)})" if parts else ""
