"""A whole recording is sound; what is damaged or missing in it is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from analyzer_service.verify.recording import verify_recording
from shared.errors import RecordingError
from shared.messages import Totals
from shared.recording import Recorded
from tests.analyzer_service.pipeline.driving import make_said
from tests.analyzer_service.receive.recorded import items_of, write
from tests.builders import make_drop, make_recorded, make_run_ended


def recorded(path: Path, *, without: tuple[int, ...] = ()) -> Path:
    said = make_said(epochs=1)
    return write(path, items_of(said.without(*without)), flush=True)


def test_a_whole_recording_is_sound(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.mcap")
    before = path.read_bytes()
    assert verify_recording(path).lines() == [
        "demo: rank0: 15 of 15 records",
        "demo: rank0: 10 train frames; offered 10 = delivered 10 + dropped 0 + pending 0",
        "demo: rank0: 2 val frames; offered 2 = delivered 2 + dropped 0 + pending 0",
        "sound",
    ]
    assert path.read_bytes() == before


def test_frames_without_a_notice_are_missing_and_with_one_dropped(tmp_path: Path) -> None:
    items = items_of(make_said(epochs=1).without(3, 4, 9))
    (fault,) = verify_recording(write(tmp_path / "a.mcap", items)).faults
    assert fault == "demo: rank0: train frames 3 to 4, 9 are neither there nor dropped by name"
    notices = [make_recorded(make_drop(3, 4), 15), make_recorded(make_drop(9), 16)]
    end = make_recorded(make_run_ended(), 17)
    findings = verify_recording(write(tmp_path / "b.mcap", [*items[:-1], *notices, end]))
    assert findings.faults == []
    assert findings.facts[1].endswith(
        "offered 10 = delivered 7 + dropped 3 (3 queue_full) + pending 0"
    )


def test_frames_that_only_the_end_tells_of_are_missing(tmp_path: Path) -> None:
    items = items_of(make_said(epochs=1))
    ended = make_run_ended(totals={"train": Totals(offered=12, delivered=12)})
    items[-1] = make_recorded(ended, items[-1].sequence)
    (fault,) = verify_recording(write(tmp_path / "a.mcap", items)).faults
    assert "train frames 11 to 12 are neither" in fault


def test_records_that_are_missing_are_named(tmp_path: Path) -> None:
    items = [
        item
        for item in items_of(make_said(epochs=1))
        if item.channel != "ctl" or item.sequence not in (4, 5, 15)
    ]
    assert verify_recording(write(tmp_path / "a.mcap", items)).faults == [
        "demo: rank0: records 4 to 5 are missing",
        "demo: rank0: its end is missing",
    ]


def test_a_payload_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    items = items_of(make_said(epochs=1))
    items[5] = replace(items[5], payload=b"\x00")
    faults = verify_recording(write(tmp_path / "a.mcap", items)).faults
    assert any(fault.startswith("demo: rank0: ctl 4: ") for fault in faults)


def test_each_start_of_each_producer_has_its_lines(tmp_path: Path) -> None:
    first = items_of(make_said(epochs=1))
    others: list[Recorded] = [
        *items_of(make_said(epochs=1, producer="rank1")),
        *items_of(make_said(epochs=1, incarnation=2)),
    ]
    findings = verify_recording(write(tmp_path / "a.mcap", [*first, *others]))
    assert findings.faults == []
    assert [fact.rpartition(":")[0] for fact in findings.facts if fact.endswith("records")] == [
        "demo: rank0",
        "demo: rank1",
        "demo: rank0 (start 2)",
    ]


def test_a_flipped_byte_is_a_fault_unless_everything_is_there(tmp_path: Path) -> None:
    whole = recorded(tmp_path / "a.mcap").read_bytes()
    facts = verify_recording(tmp_path / "a.mcap").facts
    path = tmp_path / "b.mcap"
    faults = 0
    for at in range(0, len(whole), 997):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        findings = verify_recording(path)
        # The times in the head of a chunk are read by nobody, and under no checksum.
        assert not findings.sound or findings.facts == facts, at
        faults += not findings.sound
    assert faults > 100


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_torn_recording_is_a_fault_and_counts_what_is_left(tmp_path: Path, share: float) -> None:
    whole = recorded(tmp_path / "a.mcap").read_bytes()
    path = tmp_path / "b.mcap"
    path.write_bytes(whole[: int(share * len(whole))])
    findings = verify_recording(path)
    assert any("damaged: " in fault for fault in findings.faults)
    assert findings.facts[0].startswith("demo: rank0: ")


def test_what_is_no_recording_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(b"\x89PNG" + bytes(1000))
    with pytest.raises(RecordingError, match="not an MCAP recording"):
        verify_recording(tmp_path / "a.mcap")
    with pytest.raises(RecordingError, match="cannot be read"):
        verify_recording(tmp_path / "none.mcap")
