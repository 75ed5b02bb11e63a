"""A whole run is sound; each thing that is broken by itself is a fault that names it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer_service.commit.database import run_database
from analyzer_service.verify.run_folder import verify_folder
from analyzer_service.workers import InlineWorkers, Workers
from shared.errors import ConfigurationError
from shared.messages import RecordTotals, Totals
from tests.analyzer_service.pipeline.driving import (
    ORIGIN,
    Said,
    drain,
    feed_frames,
    feed_records,
    make_said,
    open_run,
    run_whole,
)
from tests.analyzer_service.receive.recorded import items_of, write
from tests.builders import make_batch, make_drop, make_frame, make_run_ended, make_run_started


@pytest.fixture
def workers() -> Iterator[Workers]:
    with closing(InlineWorkers()) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, workers: Workers) -> Path:
    """A finished run: 20 training and 4 validation batches, training frame 3 dropped by name."""
    said = make_said().without(3)
    totals = {
        "train": Totals(offered=20, delivered=19, dropped=1),
        "val": Totals(offered=4, delivered=4),
    }
    records = [*said.records[:-1], make_drop(3)]
    counted = RecordTotals(offered=len(records), committed=len(records))
    ended = make_run_ended(totals=totals, records=counted)
    return run_whole(tmp_path, workers, replace(said, records=[*records, ended]))


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(run_database(folder))) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_whole_run_is_sound_and_stays_as_it_is(folder: Path) -> None:
    before = contents(folder)
    findings = verify_folder(folder)
    assert findings.faults == []
    assert findings.lines() == [
        "demo: finished, 24 batches",
        "analysis: 1, the last: rank0: train frame 13: ValueError: thirteen is not analyzed",
        "rank0: 29 of 29 records",
        "rank0/train: offered 20 = delivered 19 + dropped 1 (1 queue_full) + pending 0",
        "rank0/val: offered 4 = delivered 4 + dropped 0 + pending 0",
        "13 files written",
        "9 frames kept",
        "sound",
    ]
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (
            "DELETE FROM records WHERE cseq = 5",
            "rank0: records 5 are missing",
        ),
        (
            "DELETE FROM records WHERE cseq = 5",
            "rank0: records up to 29 were acknowledged, those up to 4 are there",
        ),
        (
            "DELETE FROM records WHERE cseq = 29",
            "rank0: records up to 29 were acknowledged, those up to 28 are there",
        ),
        (
            "UPDATE records SET payload = X'00' WHERE cseq = 5",
            "rank0: record 5 cannot be read",
        ),
        (
            "DELETE FROM records WHERE cseq = 28",  # the notice
            "rank0/train: frames 3 neither arrived nor were dropped by name",
        ),
        (
            "DELETE FROM frames WHERE stream = 'train' AND fseq BETWEEN 7 AND 9",
            "rank0/train: frames 7 to 9 neither arrived nor were dropped by name",
        ),
        (
            "UPDATE streams SET delivered = 18, dropped = 2 WHERE stream = 'train'",
            "rank0/train: the stored books differ from the facts",
        ),
        (
            "UPDATE streams SET delivered = 18 WHERE stream = 'train'",
            "rank0/train: the stored books do not balance",
        ),
        ("DELETE FROM streams WHERE stream = 'val'", "rank0/val: the stored books differ"),
        ("UPDATE producers SET next_release = 20", "rank0: records 20 to 29 are not released"),
        ("DELETE FROM batches WHERE release = 6", "rank0: records 7 have no row"),
        ("DELETE FROM batches WHERE release = 6", "train batches of rank 0: 6 are missing"),
        (
            "UPDATE batches SET phase_step = 5 WHERE release = 6",
            "train batches of rank 0: 5 are there more than once",
        ),
        (
            "UPDATE batches SET cseq = 6 WHERE release = 6",
            "rank0: records 6 have more than one row",
        ),
        (
            "UPDATE batches SET cseq = 1 WHERE release = 6",
            "rank0: records 1 are no batches, and have a row",
        ),
        (
            "UPDATE jobs SET state = 'failed', error = 'no room' WHERE kind = 'report'",
            "report 0 was given up: no room",
        ),
        (
            "UPDATE jobs SET state = 'postponed', error = 'no room' WHERE kind = 'report'",
            "report 0 was given up: no room; it is tried again when",
        ),
        (
            "UPDATE jobs SET state = 'due' WHERE number = 8",
            "dashboard train 8 is due and not written",
        ),
        ("UPDATE frames SET file_bytes = 7 WHERE fseq = 4", "bytes, 7 were written"),
    ],
)
def test_what_is_wrong_in_the_database_is_named(folder: Path, statement: str, fault: str) -> None:
    change(folder, statement)
    faults = verify_folder(folder).faults
    assert [text for text in faults if fault in text], faults


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ("train_batch_000008.png", "train_batch_000008.png is missing or empty"),
        ("epoch_1_metrics.json", "epoch_1_metrics.json is missing or empty"),
        ("final_summary_report.md", "final_summary_report.md is missing or empty"),
        ("frames/val_000002.npz", "frames/val_000002.npz is missing"),
    ],
)
def test_a_file_that_is_not_there_is_named(folder: Path, file: str, fault: str) -> None:
    (folder / file).unlink()
    (found,) = verify_folder(folder).faults
    assert found.startswith(fault)


def test_an_empty_file_is_no_file(folder: Path) -> None:
    (folder / "train_batch_000008.png").write_bytes(b"")
    assert verify_folder(folder).faults == ["train_batch_000008.png is missing or empty"]


def test_a_flipped_page_of_the_database_is_damage(folder: Path) -> None:
    path = run_database(folder)
    data = bytearray(path.read_bytes())
    page = 4096
    for at in range(page * 8, len(data), page):
        data[at : at + 64] = bytes(64)
    path.write_bytes(data)
    faults = verify_folder(folder).faults
    assert any(fault.startswith("metrics.sqlite") for fault in faults)


def test_a_folder_that_holds_no_run_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no run"):
        verify_folder(tmp_path)
    (tmp_path / "metrics.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(ConfigurationError, match="is not readable"):
        verify_folder(tmp_path)


def test_a_run_that_goes_on_is_sound_with_what_is_pending(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, said.records[:8])
    feed_frames(pipeline, said.frames[:4])
    pipeline.commit()
    pipeline.commit()
    findings = verify_folder(pipeline.folder)
    assert findings.faults == []
    assert "rank0/train: offered 7 = delivered 4 + dropped 0 + pending 3" in findings.facts
    pipeline.close()


def test_the_run_of_a_producer_that_went_away_is_sound(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, said.records[:8])
    feed_frames(pipeline, said.frames[:4])
    pipeline.commit()
    pipeline.lost(ORIGIN)
    drain(pipeline)
    pipeline.close()
    findings = verify_folder(pipeline.folder)
    assert findings.faults == []
    assert findings.facts[0] == "demo: failed, 7 batches"


def test_a_run_that_was_resumed_is_sound(tmp_path: Path, workers: Workers) -> None:
    first = make_said()
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, first.records[:9])
    feed_frames(pipeline, first.frames[:8])
    drain(pipeline)
    again = make_run_started(analysis_freq=4, incarnation=2, resumed_from_step=5)
    origin = ORIGIN._replace(incarnation=2)
    steps = [make_batch(step, frame=None) for step in range(6, 9)]
    feed_records(pipeline, [again, *steps, make_run_ended()], origin=origin)
    drain(pipeline)
    pipeline.close()
    findings = verify_folder(pipeline.folder)
    assert findings.faults == []
    assert "rank0 (start 2): 5 of 5 records" in findings.facts


def test_frames_that_no_batch_named_and_that_could_not_be_read_are_in_the_books(
    tmp_path: Path, workers: Workers
) -> None:
    records = [make_run_started(), make_batch(1), make_batch(4), make_drop(2), make_run_ended()]
    said = Said(ORIGIN, make_run_started(), records, [make_frame(1), make_frame(4)])
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, said.records)
    feed_frames(pipeline, said.frames)
    pipeline.frame(ORIGIN, "train", 3, [b"no frame"])
    drain(pipeline)
    pipeline.close()
    findings = verify_folder(pipeline.folder)
    books = "offered 4 = delivered 2 + dropped 2 (1 queue_full, 1 undecodable) + pending 0"
    assert f"rank0/train: {books}" in findings.facts
    assert findings.faults == ["train batches of rank 0: 2 to 3 are missing"]


def test_what_the_analyzer_called_an_error_is_a_fault(folder: Path) -> None:
    change(folder, "INSERT INTO failures VALUES ('frame_mismatch', 2, 'train frame 9')")
    assert verify_folder(folder).faults == ["frame mismatch: 2, the last: train frame 9"]


def test_records_that_the_trainer_lost_are_a_fault(tmp_path: Path, workers: Workers) -> None:
    records = [
        make_run_started(),
        make_batch(1, frame=None),
        make_run_ended(records=RecordTotals(offered=4, committed=2, lost=2)),
    ]
    folder = run_whole(tmp_path, workers, Said(ORIGIN, make_run_started(), records, []))
    assert verify_folder(folder).faults == ["rank0: the trainer lost 2 records"]
    records[-1] = make_run_ended(records=RecordTotals(offered=9, committed=9))
    folder = run_whole(tmp_path / "b", workers, Said(ORIGIN, make_run_started(), records, []))
    assert verify_folder(folder).faults == [
        "rank0: the trainer handed over 10 records and lost 0, the last one here is 3"
    ]


def test_the_recording_of_a_run_is_checked_with_it(folder: Path) -> None:
    write(folder / "stream.mcap", items_of(make_said()))
    assert verify_folder(folder).faults == []
    data = bytearray((folder / "stream.mcap").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "stream.mcap").write_bytes(data)
    faults = verify_folder(folder).faults
    assert all(fault.startswith("stream.mcap: ") for fault in faults)
    assert any("damaged: " in fault for fault in faults)


def test_segments_are_checked_together_and_deleted_ones_are_named(folder: Path) -> None:
    items = items_of(make_said())
    first, *rest = items
    parts = [rest[:9], rest[9:18], rest[18:]]
    for number, part in enumerate(parts, start=1):
        write(folder / f"stream.{number}.mcap", [first, *part])
    findings = verify_folder(folder)
    assert findings.faults == []
    assert any("1 segment of the recording, `stream.mcap`" in fact for fact in findings.facts)
    (folder / "stream.1.mcap").unlink()
    findings = verify_folder(folder)
    assert findings.faults == []
    assert any("went with deleted segments" in fact for fact in findings.facts)
    write(folder / "stream.mcap", [first])
    faults = verify_folder(folder).faults
    assert "stream.1.mcap is missing, though later ones are there" in faults
    assert any(" are missing" in fault for fault in faults[1:]), "nothing excuses a gap"
