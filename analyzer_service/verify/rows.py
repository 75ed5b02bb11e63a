"""Every batch exactly once: rows against the records that they come from, and each other."""

import sqlite3
from collections import defaultdict

from analyzer_service.commit.run_rows import RUN
from analyzer_service.verify.findings import Findings, numbers, without
from analyzer_service.verify.producers import ProducerFacts
from shared.sequences import RangeSet


def check_rows(
    connection: sqlite3.Connection, producers: list[ProducerFacts], findings: Findings
) -> None:
    """Rows of released batches."""
    for facts in producers:
        _check_origin(connection, facts, findings)
    _check_steps(connection, findings)


def _check_origin(connection: sqlite3.Connection, facts: ProducerFacts, findings: Findings) -> None:
    """One row each batch that is released, and no other; superseded rows count, too."""
    rows, twice = RangeSet(), RangeSet()
    query = f"SELECT cseq FROM batches WHERE origin = ? AND rank > {RUN} ORDER BY cseq"
    for (cseq,) in connection.execute(query, (facts.id,)):
        if not rows.add(cseq):
            twice.add(cseq)
    released = facts.batches.within(1, facts.next_release - 1)
    faults = {
        "have no row": without(released, rows),
        "have more than one row": twice.ranges,
        "are no batches, and have a row": without(rows.ranges, facts.batches),
    }
    findings.faults += [
        f"{facts.name}: records {numbers(wrong)} {what}" for what, wrong in faults.items() if wrong
    ]


def _check_steps(connection: sqlite3.Connection, findings: Findings) -> None:
    """Batches of a phase and rank by number: none twice, none left out."""
    steps: defaultdict[tuple[str, int], RangeSet] = defaultdict(RangeSet)
    twice: defaultdict[tuple[str, int], RangeSet] = defaultdict(RangeSet)
    query = (
        "SELECT phase, rank, phase_step FROM batches WHERE superseded = 0 AND rank > "
        f"{RUN} ORDER BY phase_step"
    )
    for phase, rank, step in connection.execute(query):
        if not steps[phase, rank].add(step):
            twice[phase, rank].add(step)
    for (phase, rank), found in sorted(steps.items()):
        who = f"{phase} batches of rank {rank}"
        gaps = found.missing(found.ranges[0][0], found.ranges[-1][1])
        if gaps:
            findings.faults.append(f"{who}: {numbers(gaps)} are missing")
        if twice[phase, rank]:
            numbered = numbers(twice[phase, rank].ranges)
            findings.faults.append(f"{who}: {numbered} are there more than once")
