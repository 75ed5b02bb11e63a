"""The report's books: what became of every frame, and what went wrong and was contained."""

from dataclasses import dataclass

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.markdown import quoted, table
from analyzer_service.sinks.report_wording import DROP_REASONS, FAILURES
from shared.messages import Totals


@dataclass(frozen=True)
class Delivery:
    """Tables and words about frames; None where there is nothing to show."""

    books: str | None
    words: str
    drops: str | None
    failures: str | None


def delivery(reader: RunReader) -> Delivery:
    """What became of every frame that the trainer offered."""
    books, drops, failures = reader.books(), reader.drops(), reader.state().failures
    drop_rows = [
        [quoted(reason), f"{count:,}", DROP_REASONS.get(reason, "–")]
        for reason, count in drops.items()
    ]
    failure_rows = [
        [FAILURES.get(kind, kind), f"{failure.count:,}", quoted(failure.last)]
        for kind, failure in failures.items()
    ]
    return Delivery(
        books=_books_table(books) if books else None,
        words=_words(books),
        drops=_table_or_none(["Reason", "Frames", "Meaning"], drop_rows),
        failures=_table_or_none(["What", "Count", "The last one"], failure_rows),
    )


def _table_or_none(header: list[str], rows: list[list[str]]) -> str | None:
    return table(header, rows, words=(0, 2)) if rows else None


def _books_table(books: dict[str, Totals]) -> str:
    header = ["Producer/stream", "Offered", "Delivered", "Dropped", "Pending", "Balanced"]
    rows = [
        [
            quoted(name),
            *(f"{n:,}" for n in (totals.offered, totals.delivered, totals.dropped, totals.pending)),
            "yes" if _balanced(totals) else "**no**",
        ]
        for name, totals in books.items()
    ]
    return table(header, rows)


def _words(books: dict[str, Totals]) -> str:
    if not books:
        return "No frames were offered, so there are no images and no attention metrics."
    if not all(map(_balanced, books.values())):
        return (
            "**The books do not balance**: offered is not delivered + dropped + pending. This is "
            "an error of Sidelight; please report it with this file."
        )
    if any(totals.pending for totals in books.values()):
        return "The books balance. Pending frames had neither come nor been given up."
    return "The books balance: offered = delivered + dropped, and nothing is pending."


def _balanced(totals: Totals) -> bool:
    return totals.offered == totals.delivered + totals.dropped + totals.pending
