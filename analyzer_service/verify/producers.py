"""Records and frames of each start of each producer, counted again from what it said."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field

from analyzer_service.commit.producers import critical
from analyzer_service.verify.findings import Findings, numbers
from analyzer_service.verify.frames import FrameFacts, Streams, note_frames
from shared.books import frames_balance, frames_in_words
from shared.errors import ContractError
from shared.messages import BatchMetrics, RunEnded, RunStarted, Totals
from shared.sequences import Range, RangeSet


@dataclass
class ProducerFacts:
    """One start of one producer, as its records tell it.

    Attributes
    ----------
    records, batches : RangeSet
        Numbers of all its critical records, and of those that are batches.
    next_release : int
        The record that is released next, as the database says.
    over : bool
        Whether all of it is released, its end too: as it said, or as one that went away.
    """

    id: int
    name: str
    started: RunStarted
    next_release: int
    committed_cseq: int
    over: bool
    records: RangeSet = field(default_factory=RangeSet)
    batches: RangeSet = field(default_factory=RangeSet)
    streams: Streams = field(default_factory=lambda: defaultdict(FrameFacts))
    ended: RunEnded | None = None

    @property
    def last(self) -> int:
        """Its highest record."""
        return self.records.ranges[-1][1] if self.records else 0

    @property
    def gaps(self) -> list[Range]:
        """Records below the highest that are not there."""
        return self.records.missing(1, self.last)


def read_producers(connection: sqlite3.Connection, findings: Findings) -> list[ProducerFacts]:
    """Every start of every producer with its facts; what cannot be read is a fault."""
    query = (
        "SELECT id, producer, incarnation, started, next_release, committed_cseq, status "
        "FROM producers ORDER BY producer, incarnation"
    )
    producers = []
    for id_, producer, incarnation, started, release, committed, status in connection.execute(
        query
    ).fetchall():
        start = f" (start {incarnation})" if incarnation > 1 else ""
        facts = ProducerFacts(
            id=id_,
            name=f"{producer}{start}",
            started=RunStarted.model_validate_json(started),
            next_release=release,
            committed_cseq=committed,
            over=status is not None,
        )
        _read_records(connection, facts, findings)
        _read_frames(connection, facts)
        producers.append(facts)
    return producers


def check_producer(
    connection: sqlite3.Connection, facts: ProducerFacts, findings: Findings
) -> None:
    """Books against facts."""
    findings.facts.append(f"{facts.name}: {len(facts.records):,} of {facts.last:,} records")
    _check_records(facts, findings)
    stored = _stored_books(connection, facts.id)
    for stream in sorted(stored.keys() | facts.streams.keys()):
        totals = stored.get(stream, Totals())
        if totals != Totals() or facts.streams[stream].totals != Totals():
            _check_stream(facts, stream, totals, findings)


def _check_records(facts: ProducerFacts, findings: Findings) -> None:
    faults = findings.faults
    if facts.gaps:
        faults.append(f"{facts.name}: records {numbers(facts.gaps)} are missing")
    first = facts.records.ranges[:1]
    dense = first[0][1] if first and first[0][0] == 1 else 0
    if dense != facts.committed_cseq:
        said = f"records up to {facts.committed_cseq} were acknowledged"
        faults.append(f"{facts.name}: {said}, those up to {dense} are there")
    if facts.over and facts.next_release <= facts.last:
        faults.append(
            f"{facts.name}: records {facts.next_release} to {facts.last} are not released"
        )
    faults += _check_own_count(facts)


def _check_own_count(facts: ProducerFacts) -> list[str]:
    """What a producer says of its records against those that are there."""
    counted = None if facts.ended is None else facts.ended.records
    if counted is None:
        return []
    faults = []
    if counted.lost:
        faults.append(f"{facts.name}: the trainer lost {counted.lost:,} records")
    handed_over = counted.offered + 1  # and the end itself
    if handed_over - counted.lost != facts.last:
        said = f"the trainer handed over {handed_over:,} records and lost {counted.lost:,}"
        faults.append(f"{facts.name}: {said}, the last one here is {facts.last:,}")
    return faults


def _check_stream(facts: ProducerFacts, stream: str, stored: Totals, findings: Findings) -> None:
    frames = facts.streams[stream]
    who = f"{facts.name}/{stream}"
    counted = _as_the_analyzer_counts(facts, frames)
    findings.facts.append(f"{who}: {frames_in_words(counted, frames.drops)}")
    if not frames_balance(stored):
        findings.faults.append(f"{who}: the stored books do not balance: {frames_in_words(stored)}")
    if counted != stored:
        findings.faults.append(
            f"{who}: the stored books differ from the facts: {frames_in_words(stored)}"
        )
    if facts.over and facts.ended is not None and frames.unexplained:
        findings.faults.append(
            f"{who}: frames {numbers(frames.unexplained)} neither arrived nor were dropped by name"
        )


def _as_the_analyzer_counts(facts: ProducerFacts, frames: FrameFacts) -> Totals:
    """What a producer owes that went away without an end is given up, and no notice says so."""
    counted = frames.totals
    if not facts.over or facts.ended is not None:
        return counted
    given_up = {"dropped": counted.dropped + counted.pending, "pending": 0}
    return counted.model_copy(update=given_up)


def _read_records(connection: sqlite3.Connection, facts: ProducerFacts, findings: Findings) -> None:
    query = "SELECT cseq, payload FROM records WHERE origin = ? ORDER BY cseq"
    for cseq, payload in connection.execute(query, (facts.id,)):
        facts.records.add(cseq)
        try:
            message = critical(payload)
        except ContractError as error:
            findings.faults.append(f"{facts.name}: record {cseq} cannot be read: {error}")
            continue
        if isinstance(message, BatchMetrics):
            facts.batches.add(cseq)
        if isinstance(message, RunEnded):
            facts.ended = message
        else:
            note_frames(facts.streams, message)


def _read_frames(connection: sqlite3.Connection, facts: ProducerFacts) -> None:
    query = "SELECT stream, fseq, state FROM frames WHERE origin = ? ORDER BY stream, fseq"
    for stream, fseq, state in connection.execute(query, (facts.id,)):
        frames = facts.streams[stream]
        (frames.spoiled if state == "undecodable" else frames.arrived).add(fseq)
    # Of released batches all frames before theirs were offered, named or not.
    query = "SELECT stream, floor FROM streams WHERE origin = ?"
    for stream, floor in connection.execute(query, (facts.id,)):
        facts.streams[stream].offer_all(floor)


def _stored_books(connection: sqlite3.Connection, origin: int) -> dict[str, Totals]:
    query = "SELECT stream, offered, delivered, dropped, pending FROM streams WHERE origin = ?"
    return {
        stream: Totals(offered=offered, delivered=delivered, dropped=dropped, pending=pending)
        for stream, offered, delivered, dropped, pending in connection.execute(query, (origin,))
    }
