"""Checks a recording: what is damaged, and what of each producer can be read."""

from collections import Counter, defaultdict
from collections.abc import Sequence
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
    deleted: Counter[str] = field(default_factory=Counter)

    def leave_deleted(self, who: str) -> list[str]:
        """Take everything before what is left for there, and say so; `deleted` counts it."""
        said = []
        if gap := self.records.missing(1, _last(self.records))[:1]:
            self.deleted["ctl"] = self.records.add(*gap[0])
            said.append(f"{who}: records {numbers(gap)} went with deleted segments")
        for stream, frames in self.streams.items():
            first = frames.arrived.ranges[0][0] if frames.arrived else frames.last + 1
            if first > 1:
                self.deleted[stream] = frames.arrived.add(1, first - 1)
                said.append(f"{who}: {stream} frames before {first}, if they came, went with them")
        return said


def verify_recording(path: Path) -> Findings:
    """Walk all chunks of a recording.

    Raises
    ------
    RecordingError
        If the file cannot be read or is no recording.
    """
    return _verify([path], first_deleted=False)


def verify_segments(paths: Sequence[Path], *, first_deleted: bool) -> Findings:
    """Walk all chunks of a recording's segments, the oldest first.

    What went with segments that are deleted, if the first ones are, is a fact and no fault.

    Raises
    ------
    RecordingError
        If a file cannot be read or is no recording.
    """
    return _verify(paths, first_deleted=first_deleted)


def _verify(paths: Sequence[Path], *, first_deleted: bool) -> Findings:
    held: dict[Key, _Held] = {}
    findings, losses = Findings(), []
    for path in paths:
        reader = RecordingReader(path)
        for item in reader:
            _note(held.setdefault((item.run_name, item.producer, item.incarnation), _Held()), item)
        named = f"{path.name}: " if len(paths) > 1 else ""
        losses += [f"damaged: {named}{loss}" for loss in reader.losses]
    for (run, producer, incarnation), found in held.items():
        start = f" (start {incarnation})" if incarnation > 1 else ""
        who = f"{run}: {producer}{start}"
        findings.facts += found.leave_deleted(who) if first_deleted else []
        _judge(who, found, findings)
    findings.faults += losses
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


def _last(numbers: RangeSet) -> int:
    return numbers.ranges[-1][1] if numbers.ranges else 0


def _judge(who: str, held: _Held, findings: Findings) -> None:
    last = _last(held.records)
    gaps = held.records.missing(1, last)
    findings.facts.append(f"{who}: {len(held.records) - held.deleted['ctl']:,} of {last:,} records")
    if gaps:
        findings.faults.append(f"{who}: records {numbers(gaps)} are missing")
    if not held.ended:
        findings.faults.append(f"{who}: its end is missing")
    findings.faults += [f"{who}: {text}" for text in held.unreadable]
    for stream, frames in held.streams.items():
        frames.offer_all(max(frames.last, frames.arrived.ranges[-1][1] if frames.arrived else 0))
        there = len(frames.arrived) - held.deleted[stream]
        findings.facts.append(
            f"{who}: {there:,} {stream} frames; {frames_in_words(frames.totals, frames.drops)}"
        )
        if frames.unexplained:
            missing = numbers(frames.unexplained)
            findings.faults.append(
                f"{who}: {stream} frames {missing} are neither there nor dropped by name"
            )
