"""The report's books: what became of every frame and record, and what went wrong on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyzer_service.commit.reader import Failure, RecordBooks, RunReader
from analyzer_service.sinks.markdown import quoted, table
from analyzer_service.sinks.report_wording import DROP_REASONS, ERRORS, FAILURES
from shared.books import frames_balance, records_balance
from shared.messages import Totals


@dataclass(frozen=True)
class Delivery:
    """Tables and words; None where there is nothing to show.

    `alarm` belongs at the top of the report: something is missing that nothing explains.
    """

    alarm: str | None
    books: str | None
    words: str
    drops: str | None
    records: str
    record_words: str
    failures: str | None


def delivery(reader: RunReader) -> Delivery:
    """What became of everything that the trainer offered."""
    books, records, failures = reader.books(), reader.record_books(), reader.state().failures
    failure_rows = [
        [FAILURES.get(kind, kind), f"{failure.count:,}", quoted(failure.last)]
        for kind, failure in failures.items()
    ]
    return Delivery(
        alarm=_alarm(books, records, failures),
        books=_books_table(books) if books else None,
        words=_words(books, failures),
        drops=_drops_table(reader.drops_by_stream()),
        records=_records_table(records),
        record_words=_record_words(records),
        failures=_table_or_none(["What", "Count", "The last one"], failure_rows),
    )


def _alarm(
    books: Mapping[str, Totals], records: Sequence[RecordBooks], failures: Mapping[str, Failure]
) -> str | None:
    wrong = [
        f"{failures[kind].count:,} {FAILURES[kind].partition(':')[0]}"
        for kind in ERRORS
        if kind in failures
    ]
    lost = sum(each.lost or 0 for each in records)
    if lost:
        wrong.append(f"{lost:,} records that the trainer could not keep")
    if not _all_balance(books, records):
        wrong.append("books that do not balance")
    return f"**Something is missing: {'; '.join(wrong)}.** See the books below." if wrong else None


def _all_balance(books: Mapping[str, Totals], records: Sequence[RecordBooks]) -> bool:
    known = [each.totals for each in records]
    return all(map(frames_balance, books.values())) and all(
        records_balance(totals) for totals in known if totals is not None
    )


def _table_or_none(header: list[str], rows: list[list[str]]) -> str | None:
    return table(header, rows, words=(0, 2)) if rows else None


def _books_table(books: Mapping[str, Totals]) -> str:
    header = ["Producer/stream", "Offered", "Delivered", "Dropped", "Pending", "Balanced"]
    rows = [
        [
            quoted(name),
            *(f"{n:,}" for n in (totals.offered, totals.delivered, totals.dropped, totals.pending)),
            "yes" if frames_balance(totals) else "**no**",
        ]
        for name, totals in books.items()
    ]
    return table(header, rows)


def _drops_table(drops: Mapping[str, Mapping[str, int]]) -> str | None:
    rows = [
        [quoted(reason), f"{count:,}", quoted(name), DROP_REASONS.get(reason, "–")]
        for name, reasons in drops.items()
        for reason, count in reasons.items()
    ]
    header = ["Reason", "Frames", "Producer/stream", "Meaning"]
    return table(header, rows, words=(0, 2, 3)) if rows else None


def _words(books: Mapping[str, Totals], failures: Mapping[str, Failure]) -> str:
    if not books:
        return "No frames were offered, so there are no images and no attention metrics."
    if not all(map(frames_balance, books.values())):
        return (
            "**The books do not balance**: offered is not delivered + dropped + pending. This is "
            "an error of Sidelight; please report it with this file."
        )
    unexplained = failures.get("unexplained_frames")
    if unexplained is not None:
        return (
            f"**{unexplained.count:,} frames neither arrived nor were dropped by name**; they are "
            f"counted as pending. The last: {quoted(unexplained.last)}. This is an error of "
            "Sidelight, or a part of a recording is missing."
        )
    if any(totals.pending for totals in books.values()):
        return "The books balance. Pending frames had neither come nor been given up."
    return "The books balance: offered = delivered + dropped, and nothing is pending."


def _records_table(records: Sequence[RecordBooks]) -> str:
    header = ["Producer", "Handed over", "Committed", "Lost", "Missing", "Balanced"]
    rows = [
        [
            quoted(each.name),
            *(_count(n) for n in (each.handed_over, each.committed, each.lost, each.missing)),
            _balanced(each),
        ]
        for each in records
    ]
    return table(header, rows)


def _record_words(records: Sequence[RecordBooks]) -> str:
    lost = sum(each.lost or 0 for each in records)
    missing = sum(each.missing for each in records)
    words = "Records are scalars of batches, ends of epochs, drop notices, the run's start and end."
    if lost:
        words += (
            f" **{lost:,} were lost by the trainer**: neither its memory nor its disk had room, or "
            "they could not be made."
        )
    if missing:
        words += f" **{missing:,} never came**, though later ones did."
    if any(each.handed_over is None for each in records):
        words += " “–” is what a producer has not said, because it did not end by itself."
    return words


def _balanced(books: RecordBooks) -> str:
    if books.totals is None:
        return "–"
    return "yes" if records_balance(books.totals) else "**no**"


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"
