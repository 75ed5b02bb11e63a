"""A run that is taken up again: after a death, a resume, a replay; and folders that are refused."""

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer_service.commit.database import StoreError
from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import Origin, RunPipeline
from analyzer_service.pipeline.folder import FolderLock, is_held
from analyzer_service.workers import InlineWorkers, Workers
from shared.errors import ConfigurationError
from shared.messages import BatchFrame, CriticalMessage
from tests.analyzer_service.pipeline.driving import (
    ORIGIN,
    SETTINGS,
    Said,
    drain,
    feed_frames,
    feed_records,
    files_of,
    make_said,
    open_run,
    rows_of,
    run_whole,
)
from tests.builders import (
    make_batch,
    make_drop,
    make_epoch_ended,
    make_frame,
    make_run_ended,
    make_run_started,
)

LATE = replace(SETTINGS, accept_late_frames=True)


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_closing_at_any_moment_changes_nothing(tmp_path: Path, workers: Workers, seed: int) -> None:
    said = make_said()
    expected = files_of(run_whole(tmp_path / "calm", workers, said))
    generator = random.Random(seed)
    pipeline = open_run(tmp_path / "restless", workers)
    while (committed := pipeline.committed_cseq(*ORIGIN)) < len(said.records):
        upto = committed + generator.randint(1, 6)
        feed_records(pipeline, said.records[committed:upto], first=committed + 1)
        feed_frames(pipeline, [f for f in _missing(pipeline, said) if f.global_step <= upto])
        for _ in range(generator.randint(0, 3)):
            pipeline.commit()
        pipeline.close()
        pipeline = open_run(tmp_path / "restless", workers)
    feed_frames(pipeline, _missing(pipeline, said))
    drain(pipeline)
    pipeline.close()
    assert files_of(pipeline.folder) == expected


def test_what_was_acked_survives_sigkill(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    command = [sys.executable, "-m", "tests.analyzer_service.pipeline.killed", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acked = [int(process.stdout.readline()) for _ in range(3)][-1]
        process.send_signal(signal.SIGKILL)
    pipeline = open_run(tmp_path, workers)
    committed = pipeline.committed_cseq(*ORIGIN)
    assert committed >= acked > 0
    feed_records(pipeline, said.records[committed:], first=committed + 1)
    feed_frames(pipeline, _missing(pipeline, said))
    drain(pipeline)
    pipeline.close()
    expected = run_whole(tmp_path / "whole", workers, said)
    assert files_of(pipeline.folder) == files_of(expected)


def test_half_written_files_of_a_killed_process_are_swept(tmp_path: Path, workers: Workers) -> None:
    folder = run_whole(tmp_path, workers, make_said(epochs=1))
    before = files_of(folder)
    for name in (".train_batch_000004.png.77.tmp", "frames/.train_000004.npz.77.tmp"):
        (folder / name).write_bytes(b"half")
    open_run(tmp_path, workers).close()
    assert files_of(folder) == before


def test_files_that_were_due_are_written_after_a_restart(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, said.records)
    feed_frames(pipeline, said.frames)
    pipeline.commit()  # released, and the first files handed to workers that never run them
    pipeline.close()
    assert not list(pipeline.folder.glob("*.png"))
    pipeline = open_run(tmp_path, workers)
    drain(pipeline)
    pipeline.close()
    assert len(list(pipeline.folder.glob("*.png"))) == 9
    assert (pipeline.folder / "final_summary_report.md").exists()


def test_a_resume_supersedes_rows_beyond_its_checkpoint(tmp_path: Path, workers: Workers) -> None:
    first = make_said(epochs=2)
    pipeline = open_run(tmp_path, workers, started=first.started)
    killed = [m for m in first.records if m.type != "run_ended"]
    feed_records(pipeline, killed)
    feed_frames(pipeline, first.frames)
    drain(pipeline)
    assert (pipeline.folder / "train_batch_000016.png").exists()
    pipeline.close()

    again = make_run_started(analysis_freq=4, incarnation=2, resumed_from_step=14)
    origin = Origin("rank0", 2)
    pipeline = open_run(tmp_path, workers, started=again)
    records: list[CriticalMessage] = [again]
    for fseq, step in enumerate(range(15, 21), start=1):
        ref = {"stream": "train", "fseq": fseq}
        records.append(make_batch(step, loss=50.0 + step, frame=ref))
    feed_records(pipeline, [*records, make_epoch_ended(1), make_run_ended()], origin=origin)
    frames = [make_frame(step, fseq=step - 14) for step in range(15, 20)]
    feed_frames(pipeline, frames, origin=origin)
    pipeline.record(origin, len(records) + 3, make_drop(6))
    drain(pipeline)
    rows = rows_of(pipeline.folder)
    train = [row["phase_step"] for row in rows if row["phase"] == "train"]
    assert train == list(range(1, 21))
    assert [r["loss"] for r in rows if r["phase"] == "train"][14:] == [65, 66, 67, 68, 69, 70]
    assert [row["phase_step"] for row in rows if row["phase"] == "val"] == [1, 2]
    assert pipeline.status == "finished"
    with RunReader(pipeline.folder) as reader:
        assert [e.epoch for e in reader.epochs()] == [0, 1]
        assert reader.started().incarnation == 2
        assert len(reader.incarnations()) == 2
        drawn = {(d.phase, d.number) for d in reader.dashboards()}
        assert drawn == {("train", n) for n in (4, 8, 12, 16, 20)} | {("val", 1), ("val", 2)}
        history = reader.history(phase="train", upto=reader.state().released, names=["loss"])
        assert history["loss"].tolist()[14:] == [65, 66, 67, 68, 69, 70]
        # The dropped frame of step 20 must not be stood in for by the earlier start's.
        assert reader.frame("train", 20) is None
        assert reader.frame("train", 16) is not None
    files = set(files_of(pipeline.folder))
    assert {"frames/train_000016_i2.npz", "frames/train_000012.npz"} <= files
    assert not {"frames/train_000016.npz", "val_batch_000003.png"} & files
    pipeline.close()


def test_replaying_what_was_dropped_gives_what_a_whole_run_gives(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said()
    expected = files_of(run_whole(tmp_path / "whole", workers, said))
    torn = said.without(4, 5, 13)
    pipeline = open_run(tmp_path / "torn", workers)
    feed_records(pipeline, torn.records[:9])  # then the producer is away
    feed_frames(pipeline, torn.frames[:6])
    pipeline.commit()
    pipeline.lost(ORIGIN)
    drain(pipeline)
    pipeline.close()
    assert files_of(pipeline.folder) != expected

    pipeline = open_run(tmp_path / "torn", workers, settings=LATE)
    feed_records(pipeline, said.records)
    assert feed_frames(pipeline, said.frames).count(True) == 24 - 6  # 1, 2, 3, 6, 7, 8 are there
    pipeline.lost(ORIGIN)
    drain(pipeline)
    assert pipeline.rebuild()
    drain(pipeline)
    assert not pipeline.rebuild()
    assert pipeline.status == "finished"
    pipeline.close()
    assert files_of(pipeline.folder) == expected
    with RunReader(pipeline.folder) as reader:
        assert reader.drops() == {}
        books = reader.books()["rank0/train"]
        assert (books.offered, books.delivered, books.dropped, books.pending) == (20, 20, 0, 0)


def test_replaying_the_same_again_changes_nothing(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    folder = run_whole(tmp_path, workers, said)
    before = files_of(folder)
    pipeline = open_run(tmp_path, workers, settings=LATE)
    feed_records(pipeline, said.records)
    assert not any(feed_frames(pipeline, said.frames))
    drain(pipeline)
    assert not pipeline.rebuild()
    pipeline.close()
    assert files_of(folder) == before


def test_an_earlier_start_that_is_replayed_later_takes_its_place(
    tmp_path: Path, workers: Workers
) -> None:
    first = make_said(epochs=1)
    second = make_run_started(analysis_freq=4, incarnation=2, resumed_from_step=8)
    origin = Origin("rank0", 2)
    pipeline = open_run(tmp_path, workers, started=second, settings=LATE)
    feed_records(pipeline, [second, make_batch(9, frame=None), make_run_ended()], origin=origin)
    drain(pipeline)
    feed_records(pipeline, first.records[:12])
    feed_frames(pipeline, first.frames[:10])
    drain(pipeline)
    assert pipeline.rebuild()
    drain(pipeline)
    assert [row["phase_step"] for row in rows_of(pipeline.folder)] == list(range(1, 10))
    assert pipeline.status == "finished"
    pipeline.close()


def test_a_rebuild_that_was_cut_short_goes_on(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    expected = files_of(run_whole(tmp_path / "whole", workers, said))
    short = replace(LATE, release_limit=3)
    pipeline = open_run(tmp_path / "torn", workers, settings=short)
    feed_records(pipeline, [*said.records[:-1], make_drop(2, 6)])
    feed_frames(pipeline, said.without(2, 3, 4, 5, 6).frames)
    drain(pipeline)
    feed_frames(pipeline, said.frames)
    drain(pipeline)
    assert pipeline.rebuild()
    pipeline.commit()
    pipeline.close()
    pipeline = open_run(tmp_path / "torn", workers, settings=short)
    pipeline.record(ORIGIN, len(said.records) + 1, said.records[-1])
    drain(pipeline)
    pipeline.close()
    assert files_of(pipeline.folder) == expected


def test_a_full_disk_loses_nothing_and_acks_nothing(
    tmp_path: Path, workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    said = make_said()
    pipeline = open_run(tmp_path / "full", workers)
    _commit_some(pipeline, said.records[:4])
    connection = pipeline._store.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    feed_records(pipeline, said.records[4:], first=5)
    feed_frames(pipeline, said.frames)
    for _ in range(2):
        with pytest.raises(StoreError, match="full"):
            pipeline.commit()
        assert pipeline.committed_cseq(*ORIGIN) == 4
        assert pipeline.delivered(*ORIGIN) == {}
    assert "run ended" not in caplog.text
    connection.execute("PRAGMA max_page_count = 1073741823")
    answer = pipeline.commit()
    assert answer.acked == {ORIGIN: len(said.records)}
    assert len(answer.delivered[ORIGIN]["train"]) == 20
    assert caplog.text.count("run ended") == 1
    drain(pipeline)
    pipeline.close()
    expected = run_whole(tmp_path / "roomy", workers, said)
    assert files_of(pipeline.folder) == files_of(expected)


def test_a_folder_of_another_run_is_refused(tmp_path: Path, workers: Workers) -> None:
    folder = run_whole(tmp_path, workers, make_said(epochs=1))
    with pytest.raises(ConfigurationError, match=r"another run \(run-0001\).*--run-name"):
        open_run(tmp_path, workers, started=make_run_started(run_id="run-0002"))
    assert rows_of(folder)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, workers: Workers) -> None:
    folder = tmp_path / "auto_analysis_demo"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigurationError, match=r"thesis\.txt.*move that folder away"):
        open_run(tmp_path, workers)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_a_folder_with_the_recording_alone_is_taken(tmp_path: Path, workers: Workers) -> None:
    folder = tmp_path / "auto_analysis_demo"
    folder.mkdir()
    (folder / "stream.mcap").write_bytes(b"")
    open_run(tmp_path, workers).close()


def test_two_analyzers_cannot_write_one_folder(tmp_path: Path, workers: Workers) -> None:
    pipeline = open_run(tmp_path, workers)
    with pytest.raises(ConfigurationError, match="another analyzer"):
        open_run(tmp_path, workers)
    pipeline.close()
    open_run(tmp_path, workers).close()


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path, workers: Workers) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--output-dir"):
        open_run(tmp_path / "file", workers)


def test_the_frames_folder_keeps_its_size(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    whole = run_whole(tmp_path / "whole", workers, said)
    sizes = [path.stat().st_size for path in (whole / "frames").iterdir()]
    small = replace(SETTINGS, frames_limit_bytes=6 * max(sizes))
    folder = run_whole(tmp_path / "small", workers, said, settings=small)
    kept = sorted(path.name for path in (folder / "frames").iterdir())
    assert kept == [
        "train_000016.npz",
        "train_000020.npz",
        *(f"val_{number:06d}.npz" for number in (1, 2, 3, 4)),
    ]
    with RunReader(folder) as reader:
        assert reader.frame("train", 4) is None
        assert reader.frame("train", 20) is not None
    # Each was drawn before it went.
    pictures = {n: c for n, c in files_of(folder).items() if n.endswith(".png")}
    assert pictures == {n: c for n, c in files_of(whole).items() if n.endswith(".png")}


def _missing(pipeline: RunPipeline, said: Said) -> list[BatchFrame]:
    held = pipeline.delivered(*said.origin)
    return [frame for frame in said.frames if frame.fseq not in held.get(frame.stream, [])]


def _commit_some(pipeline: RunPipeline, records: list[CriticalMessage]) -> None:
    feed_records(pipeline, records)
    pipeline.commit()


def test_who_holds_a_folder_is_seen_without_trying(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    lock = FolderLock(tmp_path)
    assert is_held(tmp_path)
    lock.release()
    assert not is_held(tmp_path)
    assert not is_held(tmp_path / "none")
