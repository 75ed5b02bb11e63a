"""A recording gives what the live run gave; a torn one gives the rest and says what is lost."""

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import PipelineSettings
from analyzer_service.receive.inventory import Inventory
from analyzer_service.receive.recorder import Recorder
from analyzer_service.receive.replay import Replay, Replayed
from analyzer_service.receive.runs import RunsSettings
from analyzer_service.workers import InlineWorkers, PoolWorkers, Workers
from shared import protocol
from shared.codec import decode_payload, size_of
from shared.errors import ConfigurationError, RecordingError
from shared.messages import BatchMetrics
from shared.recording import RecordingReader, find_segments
from shared.transport.addresses import Address
from tests.analyzer_service.pipeline.driving import Said, make_said
from tests.analyzer_service.receive.client import Client
from tests.analyzer_service.receive.recorded import items_of, write
from tests.analyzer_service.receive.running import STUBS, analyzer
from tests.builders import make_drop, make_run_ended

REAL = PipelineSettings(end_grace_s=0.0)


def result_files(folder: Path) -> dict[str, bytes]:
    """PNG and JSON files: what a replay must give again, byte for byte."""
    paths = (p for p in folder.rglob("*") if p.suffix in (".png", ".json"))
    return {path.name: path.read_bytes() for path in paths}


def replay(
    files: list[Path],
    output: Path,
    *,
    workers: Workers | None = None,
    pipeline: PipelineSettings = STUBS,
    **options: Any,
) -> Replayed:
    output.mkdir(exist_ok=True)
    settings = RunsSettings(output, pipeline=pipeline)
    with closing(workers or InlineWorkers()) as some:
        return Replay(Inventory(files), some, settings, **options).run()


def record_live(address: Address, output: Path, said: Said, **runs: Any) -> Path:
    """Folder of a live run of `said` with its recording."""
    with analyzer(address, output, once=True, record=True, **runs) as running:
        with Client(address, said.started) as client:
            client.greet()
            last = client.records(said.records)
            for frame in said.frames:
                client.frame(frame)
            client.say(protocol.Fin(last_cseq=last))
            client.expect(protocol.FinAck)
        running.join()
    return output / "auto_analysis_demo"


def test_a_recorded_run_replays_byte_for_byte_with_any_number_of_workers(
    address: Address, tmp_path: Path
) -> None:
    said = make_said()
    said.records[-1:] = [make_drop(7), *said.records[-1:]]
    live = record_live(address, tmp_path / "live", said.without(7))
    for count in (1, 3):
        replayed = replay(
            [live / "stream.mcap"], tmp_path / f"replay{count}", workers=PoolWorkers(count)
        )
        assert replayed.damage == []
        assert replayed.runs[0].missing == []
        assert result_files(replayed.runs[0].folder) == result_files(live)
    assert len(result_files(live)) == 5 + 4 + 2 + 1  # train and val dashboards, epochs, the whole


@pytest.mark.parametrize("first", ["frames", "records"])
def test_an_estimate_of_stain_vectors_replays_byte_for_byte(
    address: Address, tmp_path: Path, first: str
) -> None:
    """One of the first frames is dropped; frames come all before, or all behind the records."""
    calls = replace(STUBS.calls, analyze="analyzer_service.analyses.frame:analyze_frame")
    pipeline = replace(STUBS, calls=calls, stain_vectors="macenko")
    said = make_said(epochs=1)
    said.records[-1:] = [make_drop(2), *said.records[-1:]]
    said = said.without(2)
    with analyzer(address, tmp_path / "live", once=True, record=True, pipeline=pipeline) as running:
        with Client(address, said.started) as client:
            client.greet()
            last = 1 if first == "frames" else client.records(said.records)
            for frame in said.frames:
                client.frame(frame)
            if first == "frames":
                client.records(said.records[:1])
                last = client.records(said.records[1:], first=2)
            client.say(protocol.Fin(last_cseq=last))
            client.expect(protocol.FinAck)
        running.join()
    live = tmp_path / "live" / "auto_analysis_demo"
    replayed = replay([live / "stream.mcap"], tmp_path / "again", pipeline=pipeline)
    assert result_files(replayed.runs[0].folder) == result_files(live)
    for folder in (live, replayed.runs[0].folder):
        with RunReader(folder) as reader:
            assert "from the first 16 tiles" in (reader.stain_vectors()[1] or "")
            books = reader.books()["rank0/train"]
            assert (books.offered, books.delivered, books.dropped) == (10, 9, 1)


def test_a_journal_and_a_recording_of_one_run_merge(tmp_path: Path) -> None:
    said = make_said()
    items = items_of(said)
    whole = replay([write(tmp_path / "whole.mcap", items)], tmp_path / "a")
    parts = [write(tmp_path / "one.mcap", items[:20]), write(tmp_path / "two.mcap", items[12:])]
    merged = replay(parts[::-1], tmp_path / "b")
    assert merged.runs[0].missing == []
    assert result_files(merged.runs[0].folder) == result_files(whole.runs[0].folder)


def test_a_recording_without_its_end_closes_the_run_as_failed(tmp_path: Path) -> None:
    items = items_of(make_said(epochs=1))
    replayed = replay([write(tmp_path / "a.mcap", items[:9])], tmp_path / "out")
    assert replayed.runs[0].missing == [
        "rank0: its end; the recording stops there, so the run counts as failed"
    ]
    with RunReader(replayed.runs[0].folder) as reader:
        assert reader.state().status == "failed"
        assert sum(1 for _ in reader.rows()) == 4
    assert replayed.runs[0].report.exists()


@pytest.mark.parametrize("share", [0.15, 0.4, 0.8, 0.97])
def test_a_torn_recording_replays_up_to_the_tear(tmp_path: Path, share: float) -> None:
    items = items_of(make_said(epochs=1))
    whole = write(tmp_path / "whole.mcap", items, flush=True).read_bytes()
    torn = tmp_path / "torn.mcap"
    torn.write_bytes(whole[: int(share * len(whole))])
    replayed = replay([torn], tmp_path / "out")
    assert "torn.mcap" in replayed.damage[0]
    assert "the recording stops there" in replayed.runs[0].missing[-1]
    with RunReader(replayed.runs[0].folder) as reader:
        steps = [row.values["phase_step"] for row in reader.rows(phase="train")]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= int(share * 10)


def test_records_that_are_lost_are_named_and_the_rest_is_analyzed(tmp_path: Path) -> None:
    items = [
        item
        for item in items_of(make_said(epochs=1))
        if not (item.channel == "ctl" and 4 <= item.sequence <= 6)
    ]
    replayed = replay([write(tmp_path / "a.mcap", items)], tmp_path / "out")
    assert replayed.runs[0].missing == ["rank0: records 4 to 6: train batches 3 to 5 missing"]
    with RunReader(replayed.runs[0].folder) as reader:
        steps = [row.values["phase_step"] for row in reader.rows(phase="train")]
        assert reader.state().status == "finished"
    assert steps == [1, 2, 6, 7, 8, 9, 10]


def test_a_run_whose_start_is_lost_is_replayed_all_the_same(tmp_path: Path) -> None:
    items = items_of(make_said(epochs=1))[1:]
    replayed = replay([write(tmp_path / "a.mcap", items)], tmp_path / "out")
    assert replayed.runs[0].missing == [
        "rank0: its RunStarted, so its layers and configuration are not known"
    ]
    with RunReader(replayed.runs[0].folder) as reader:
        assert sum(1 for _ in reader.rows()) == 12


def test_a_frame_that_was_dropped_live_and_recorded_is_filled_in(
    address: Address, tmp_path: Path
) -> None:
    said = make_said()
    whole = write(tmp_path / "trainer.mcap", items_of(said))
    dropped = replace(said, records=[*said.records[:-1], make_drop(3), make_run_ended()])
    live = record_live(address, tmp_path / "live", dropped.without(3))
    with RunReader(live) as reader:
        assert reader.books()["rank0/train"].dropped == 1
    replay([whole], tmp_path / "live")
    with RunReader(live) as reader:
        assert reader.books()["rank0/train"].dropped == 0
        samples = [row.values["samples"] for row in reader.rows(phase="train")]
    # The stand-in for the analysis fails on batch 13.
    assert samples == [0 if step == 13 else 2 for step in range(1, 21)]


def test_several_runs_of_one_file_get_a_folder_each(tmp_path: Path) -> None:
    first = make_said(epochs=1)
    second = make_said(epochs=1, run_id="run-0002", run_name="other")
    items = [*items_of(first), *items_of(second)]
    replayed = replay([write(tmp_path / "a.mcap", items)], tmp_path / "out")
    assert sorted(run.folder.name for run in replayed.runs) == [
        "auto_analysis_demo",
        "auto_analysis_other",
    ]
    for run in replayed.runs:
        with RunReader(run.folder) as reader:
            assert reader.state().status == "finished"


def test_two_runs_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    files = [
        write(tmp_path / f"{run_id}.mcap", items_of(make_said(epochs=1, run_id=run_id)))
        for run_id in ("run-0001", "run-0002")
    ]
    with pytest.raises(ConfigurationError, match="two runs named 'demo'"):
        replay(files, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_of_another_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    first = write(tmp_path / "a.mcap", items_of(make_said(epochs=1)))
    folder = replay([first], tmp_path / "out").runs[0].folder
    before = result_files(folder)
    second = write(tmp_path / "b.mcap", items_of(make_said(epochs=1, run_id="run-0002")))
    with pytest.raises(ConfigurationError, match="holds another run"):
        replay([second], tmp_path / "out")
    assert result_files(folder) == before


def test_replaying_twice_changes_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mcap", items_of(make_said(epochs=1)))
    folder = replay([file], tmp_path / "out").runs[0].folder
    before = result_files(folder)
    replay([file], tmp_path / "out")
    assert result_files(folder) == before


def test_a_resumed_run_replays_as_one(tmp_path: Path) -> None:
    first = make_said(epochs=1)
    cut = replace(first, records=first.records[:8])
    second = make_said(epochs=2, incarnation=2, resumed_from_step=4)
    items = [*items_of(cut), *items_of(second)]
    replayed = replay([write(tmp_path / "a.mcap", items)], tmp_path / "out")
    with RunReader(replayed.runs[0].folder) as reader:
        assert reader.state().status == "finished"
        assert [started.incarnation for started in reader.incarnations()] == [1, 2]


def test_a_run_that_was_resumed_live_replays_byte_for_byte(
    address: Address, tmp_path: Path
) -> None:
    whole = make_said(epochs=1, max_epochs=1, total_steps=10)
    first = replace(whole, records=whole.records[:-2])  # killed as it validated
    second = make_said(epochs=1, incarnation=2, resumed_from_step=8, device="cuda:0", mpp=0.25)
    second.records[1:9] = []  # it goes on with step 9
    second.frames[:8] = []
    live = tmp_path / "live"
    with analyzer(address, live, record=True, pipeline=REAL), Client(address, first.started) as c:
        c.greet()
        last = c.records(first.records)
        for frame in first.frames:
            c.frame(frame)
        c.expect_ack(last)
        c.expect_delivered((frame.stream, frame.fseq) for frame in first.frames)
    folder = record_live(address, live, second, pipeline=REAL)
    files = [folder / "stream_2.mcap", folder / "stream.mcap"]
    with closing(PoolWorkers(2)) as pool:
        replayed = replay(files, tmp_path / "replay", workers=pool, pipeline=REAL)
    expected = result_files(folder)
    assert result_files(replayed.runs[0].folder) == expected
    assert sorted(expected)[-4:] == [
        *(f"train_batch_{number:06d}.png" for number in (4, 8)),
        *(f"val_batch_{number:06d}.png" for number in (1, 2)),
    ]


def test_memory_is_bounded_by_the_budget(tmp_path: Path) -> None:
    items = items_of(make_said())
    largest = max(len(item.payload) for item in items)
    seen: list[int] = []

    class Counting(InlineWorkers):
        waiting = 0

        def submit(self, call: Any, *args: Any, payload: Any = None, **options: Any) -> Any:
            if payload is not None:
                self.waiting += size_of(payload)
                seen.append(self.waiting)
            return super().submit(call, *args, payload=payload, **options)

        def poll(self) -> int:
            self.waiting = 0
            return super().poll()

    file = write(tmp_path / "a.mcap", items)
    replay([file], tmp_path / "out", workers=Counting(), budget_bytes=2 * largest)
    assert len(seen) == 24
    assert max(seen) <= 3 * largest


def test_frames_that_wait_for_stain_vectors_need_no_room(tmp_path: Path) -> None:
    """Ranks whose first rank comes late, or not at all, and whose frames exceed the budget."""
    pipeline = replace(STUBS, stain_vectors="macenko")
    items = items_of(make_said(producer="rank1", world_size=2))
    largest = max(len(item.payload) for item in items)
    file = write(tmp_path / "a.mcap", items)
    found = replay([file], tmp_path / "out", pipeline=pipeline, budget_bytes=2 * largest)
    with RunReader(found.runs[0].folder) as reader:
        assert reader.state().status == "finished"
        assert reader.books()["rank1/train"].delivered == 20
        assert "from the first 16 tiles" in (reader.stain_vectors()[1] or "")


def test_realtime_keeps_the_distances_of_the_messages(tmp_path: Path) -> None:
    # Batches are captured every 0.25 s (tests.builders.STEP_NS): ten of them in 2.5 s.
    items = items_of(make_said(epochs=1))[:19]
    file = write(tmp_path / "a.mcap", items)
    begun = time.monotonic()
    replay([file], tmp_path / "out", speed=5.0)
    assert time.monotonic() - begun >= 2.25 / 5


def test_files_that_are_no_recordings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.mcap").write_bytes(b"\x89PNG" + bytes(1000))
    with pytest.raises(RecordingError, match="not an MCAP recording"):
        Inventory([tmp_path / "photo.mcap"])
    with pytest.raises(RecordingError, match="cannot be read"):
        Inventory([tmp_path / "nothing.mcap"])
    with pytest.raises(ConfigurationError, match="nothing to replay"):
        Inventory([write(tmp_path / "empty.mcap", [])])


def test_each_segment_replays_by_itself_and_all_of_them_as_one(tmp_path: Path) -> None:
    """Nothing is beyond the limit yet; `test_recorder` deletes what is."""
    items = items_of(make_said(epochs=4))
    (tmp_path / "live").mkdir()
    limit = sum(len(item.payload) for item in items) * 5 // 4
    recorder = Recorder(tmp_path / "live", limit_bytes=limit)
    for item in items:
        recorder.write(item)
    recorder.close()
    files = [tmp_path / "live" / each.name for each in find_segments(tmp_path / "live")]
    assert len(files) > 2
    whole = replay([write(tmp_path / "whole.mcap", items)], tmp_path / "whole")
    together = replay(files, tmp_path / "together")
    assert result_files(together.runs[0].folder) == result_files(whole.runs[0].folder)
    alone = replay(files[1:2], tmp_path / "alone").runs[0]
    assert any("records" in sentence for sentence in alone.missing), "what it lacks is said"
    with RunReader(alone.folder) as reader:
        steps = [row.values["phase_step"] for row in reader.rows()]
        assert reader.started().analysis_freq == 4, "it knows its run"
    held = [each for each in RecordingReader(files[1]) if each.channel == "ctl"][1:]
    messages = [decode_payload(each.payload) for each in held]
    assert steps == [each.phase_step for each in messages if isinstance(each, BatchMetrics)]


def test_a_run_that_keeps_little_replays_byte_for_byte(address: Address, tmp_path: Path) -> None:
    little = replace(STUBS, keep_dashboards=3, frames_limit_bytes=100_000)
    live = record_live(address, tmp_path / "live", make_said(epochs=4), pipeline=little)
    with closing(PoolWorkers(2)) as pool:
        files = [live / "stream.mcap"]
        again = replay(files, tmp_path / "again", workers=pool, pipeline=little).runs[0].folder
    assert result_files(again) == result_files(live)
    kept = [sorted(path.name for path in (folder / "frames").iterdir()) for folder in (live, again)]
    assert kept[0] == kept[1]
    assert 0 < len(kept[0]) < 10 + 8
