"""Files that the database refers to: there, and of the size that it says."""

import sqlite3
from pathlib import Path

from analyzer_service.commit.letting_go import read_let_go
from analyzer_service.sinks.report_retention import let_go_sentences
from analyzer_service.verify.findings import Findings
from analyzer_service.verify.recording import verify_recording, verify_segments
from shared.errors import RecordingError
from shared.recording import deleted_segments, find_segments

_RECORDING = "stream.mcap"


def check_files(
    connection: sqlite3.Connection, folder: Path, *, at_rest: bool, findings: Findings
) -> None:
    """Dashboards, JSON files and the report; kept frames; the recording, if there is one.

    Of a run `at_rest`, over and held by no analyzer, none may still be due.
    """
    _check_jobs(connection, folder, at_rest=at_rest, findings=findings)
    _check_frames(connection, folder, findings)
    said = let_go_sentences(read_let_go(connection), folder)
    findings.facts += [f"deleted as asked: {sentence}" for sentence in said]
    if any(segment.number for segment in find_segments(folder)):
        _check_segments(folder, findings)
    elif (folder / _RECORDING).exists():
        _check_recording(folder / _RECORDING, findings)


def _check_jobs(
    connection: sqlite3.Connection, folder: Path, *, at_rest: bool, findings: Findings
) -> None:
    written = 0
    query = "SELECT kind, phase, number, state, file, error FROM jobs ORDER BY id"
    for kind, phase, number, state, file, error in connection.execute(query):
        name = " ".join(part for part in (kind, phase, str(number)) if part)
        if state == "failed":
            findings.faults.append(f"{name} was given up: {error}")
        elif state == "postponed":
            again = "tried again when the run is taken up again"
            findings.faults.append(f"{name} was given up: {error}; it is {again}")
        elif state == "due":
            lines = findings.faults if at_rest else findings.facts
            lines.append(f"{name} is due and not written")
        elif state == "done":
            written += 1
            if not file or _size(folder / file) < 1:
                findings.faults.append(f"{file or name} is missing or empty")
    findings.facts.append(f"{written:,} files written")


def _check_frames(connection: sqlite3.Connection, folder: Path, findings: Findings) -> None:
    kept = 0
    query = "SELECT file, file_bytes FROM frames WHERE file IS NOT NULL ORDER BY id"
    for file, nbytes in connection.execute(query):
        kept += 1
        size = _size(folder / file)
        if size != nbytes:
            there = f"has {size:,} bytes" if size >= 0 else "is missing"
            findings.faults.append(f"{file} {there}, {nbytes:,} were written")
    findings.facts.append(f"{kept:,} frames kept")


def _check_recording(path: Path, findings: Findings) -> None:
    try:
        found = verify_recording(path)
    except RecordingError as error:
        findings.faults.append(str(error))
        return
    findings.facts += [f"{path.name}: {fact}" for fact in found.facts]
    findings.faults += [f"{path.name}: {fault}" for fault in found.faults]


def _check_segments(folder: Path, findings: Findings) -> None:
    segments = find_segments(folder)
    gone = deleted_segments(segments)
    for start in {segment.start for segment in segments}:
        numbers = {segment.number for segment in segments if segment.start == start}
        first = min(numbers) if gone and start == segments[0].start else 0
        lacking = sorted(set(range(first, max(numbers))) - numbers)
        names = [segments[0]._replace(start=start, number=number).name for number in lacking]
        findings.faults += [f"{name} is missing, though later ones are there" for name in names]
    try:
        paths = [folder / segment.name for segment in segments]
        found = verify_segments(paths, first_deleted=len(gone) > 0)
    except RecordingError as error:
        findings.faults.append(str(error))
        return
    findings.facts += [f"recording: {fact}" for fact in found.facts]
    findings.faults += [f"recording: {fault}" for fault in found.faults]


def _size(path: Path) -> int:
    """Bytes of a file; -1 where there is none."""
    try:
        return path.stat().st_size if path.is_file() else -1
    except OSError:
        return -1
