"""Everything that the Health tab shows of a run, collected from its folder."""

import time
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from analyzer_service.commit.reader import RunReader
from analyzer_service.page.health.books import (
    alerts,
    failures,
    frame_books,
    incarnation,
    record_books,
)
from analyzer_service.page.health.noted import Line, Noted
from analyzer_service.page.health.verdict import Facts, findings
from analyzer_service.page.quiet import silent_s

_FRESH_S: Final = 10.0
_MEMORY_POINTS: Final = 300


def health_of(reader: RunReader, noted: Noted, *, now: float | None = None) -> dict[str, Any]:
    """Current facts, their history, books, alerts and a verdict of the run that `reader` reads.

    `noted` is what its analyzer noted; of a run that was replayed that is nothing.
    """
    now = time.time() if now is None else now
    state = reader.state()
    running = state.status == "running"
    last = noted.last
    live = running and last is not None and _at_work(last, now)
    frames, records = frame_books(reader), record_books(reader)
    contained, told = failures(state), alerts(reader, state.released)
    facts = Facts(
        status=state.status,
        now=now,
        reason=state.reason,
        silent_s=silent_s(reader.folder, now) if running else None,
        line=last if live and last is not None else {},
        frames=frames,
        records=records,
        failures=contained,
        alerts=told["active"] if running else (),
    )
    return {
        "now": now,
        "status": state.status,
        "reason": state.reason,
        "live": live,
        "findings": [asdict(finding) for finding in findings(facts)],
        "current": last,
        "history": {name: column.tolist() for name, column in noted.over_time.items()},
        "trainer_memory": _trainer_memory(reader, state.released),
        "frames": frames,
        "records": records,
        "failures": contained,
        "alerts": told,
        "incarnations": [incarnation(start) for start in reader.incarnations()],
    }


def _at_work(line: Line, now: float) -> bool:
    """Whether the analyzer that wrote the line still writes."""
    return line.get("event") in (None, "start") and now - float(line["at"]) < _FRESH_S


def _trainer_memory(reader: RunReader, released: int) -> dict[str, Any]:
    """What the rows say of the trainer's memory, in MiB over time; means where there are many."""
    names = ["timestamp", "memory_mb"]
    columns = reader.history(phase="train", upto=released, names=names, points=_MEMORY_POINTS)
    at, mb = columns["timestamp"], columns["memory_mb"]
    known = np.isfinite(at) & np.isfinite(mb)
    return {"at": at[known].tolist(), "mb": mb[known].tolist()}
