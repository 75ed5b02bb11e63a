"""Checks a recording: what is damaged, and what of each producer can be read."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from analyzer_service.verify.findings import Findings, numbers
from analyzer_service.verify.frames import FrameFacts, Streams, note_frames
from shared.books import frames_in_words
from shared.codec import decode_payload
from shared.errors import ContractError
from shared.messages import BatchFrame, RunEnded
from shared.recording import Recorded, RecordingReader
from shared.sequences import RangeSet

Key = tuple[str, str, int]


@dataclass
class _Held:
    """What a recording holds of one start of one producer."""

    records: RangeSet = field(default_factory=RangeSet)
    streams: Streams = field(default_factory=lambda: defaultdict(FrameFacts))
    unreadable: list[str] = field(default_factory=list)
    ended: bool = False


def verify_recording(path: Path) -> Findings:
    """Walk all chunks of a recording.

    Raises
    ------
    RecordingError
        If the file cannot be read or is no recording.
    """
    reader = RecordingReader(path)
    held: dict[Key, _Held] = {}
    for item in reader:
        _note(held.setdefault((item.run_name, item.producer, item.incarnation), _Held()), item)
    findings = Findings()
    for (run, producer, incarnation), found in held.items():
        start = f" (start {incarnation})" if incarnation > 1 else ""
        _judge(f"{run}: {producer}{start}", found, findings)
    findings.faults += [f"damaged: {loss}" for loss in reader.losses]
    if not held:
        findings.faults.append("no whole message is in it")
    return findings


def _note(held: _Held, item: Recorded) -> None:
    if item.channel == "ctl":
        held.records.add(item.sequence)
    try:
        message = decode_payload(item.payload)
    except ContractError as error:
        held.unreadable.append(f"{item.channel} {item.sequence}: {error}")
        return
    if isinstance(message, BatchFrame):
        held.streams[item.channel].arrived.add(item.sequence)
        return
    note_frames(held.streams, message)
    held.ended = held.ended or isinstance(message, RunEnded)


def _judge(who: str, held: _Held, findings: Findings) -> None:
    ranges = held.records.ranges
    last = ranges[-1][1] if ranges else 0
    gaps = held.records.missing(1, last)
    findings.facts.append(f"{who}: {len(held.records):,} of {last:,} records")
    if gaps:
        findings.faults.append(f"{who}: records {numbers(gaps)} are missing")
    if not held.ended:
        findings.faults.append(f"{who}: its end is missing")
    findings.faults += [f"{who}: {text}" for text in held.unreadable]
    for stream, frames in held.streams.items():
        frames.offer_all(max(frames.last, frames.arrived.ranges[-1][1] if frames.arrived else 0))
        findings.facts.append(
            f"{who}: {len(frames.arrived):,} {stream} frames; "
            f"{frames_in_words(frames.totals, frames.drops)}"
        )
        if frames.unexplained:
            missing = numbers(frames.unexplained)
            findings.faults.append(
                f"{who}: {stream} frames {missing} are neither there nor dropped by name"
            )
