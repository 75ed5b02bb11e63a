"""Feeds a pipeline and waits for it; what a run said, as a list."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.tile_rows import RowsOf
from analyzer_service.pipeline import Origin, PipelineSettings, RunPipeline
from analyzer_service.workers import Workers
from shared.codec import encode
from shared.messages import BatchFrame, CriticalMessage, RunStarted
from tests.analyzer_service.pipeline.stubs import CALLS
from tests.builders import (
    make_batch,
    make_epoch_ended,
    make_frame,
    make_run_ended,
    make_run_started,
    make_samples,
)

ORIGIN = Origin("rank0", 1)
SETTINGS = PipelineSettings(calls=CALLS, end_grace_s=0.0, join_grace_s=0.0)


@dataclass(frozen=True)
class Said:
    """Everything that one start of a producer said, in order."""

    origin: Origin
    started: RunStarted
    records: list[CriticalMessage]
    frames: list[BatchFrame]

    def without(self, *fseqs: int) -> "Said":
        """The same without some training frames."""
        kept = [f for f in self.frames if f.stream != "train" or f.fseq not in fseqs]
        return replace(self, frames=kept)


def make_said(*, epochs: int = 2, **overrides: Any) -> Said:
    """A finished run: ten training and two validation batches an epoch, all with frames.

    Each epoch validates the same four tiles.
    """
    started = make_run_started(analysis_freq=4, **overrides)
    records: list[CriticalMessage] = [started]
    frames: list[BatchFrame] = []
    for number in range(epochs):
        for phase, count in (("train", 10), ("val", 2)):
            steps = range(number * count + 1, (number + 1) * count + 1)
            records += [make_batch(step, phase=phase) for step in steps]
            frames += [make_validation(s) if phase == "val" else make_frame(s) for s in steps]
        records.append(make_epoch_ended(number))
    origin = Origin(started.producer, started.incarnation)
    return Said(origin, started, [*records, make_run_ended()], frames)


def make_validation(number: int = 1, **overrides: Any) -> BatchFrame:
    """Validation frame `number`: the first two tiles if it is odd, else the next two."""
    samples = make_samples(2, first=(number - 1) % 2 * 2)
    return make_frame(number, phase="val", **({"samples": samples} | overrides))


def open_run(
    output: Path,
    workers: Workers,
    *,
    started: RunStarted | None = None,
    settings: PipelineSettings = SETTINGS,
) -> RunPipeline:
    return RunPipeline.open(
        output, started or make_said().started, workers=workers, settings=settings
    )


def feed_records(
    pipeline: RunPipeline,
    records: Sequence[CriticalMessage],
    *,
    origin: Origin = ORIGIN,
    first: int = 1,
) -> None:
    for cseq, message in enumerate(records, start=first):
        pipeline.record(origin, cseq, message)


def feed_frames(
    pipeline: RunPipeline, frames: Iterable[BatchFrame], *, origin: Origin = ORIGIN
) -> list[bool]:
    return [pipeline.frame(origin, f.stream, f.fseq, encode(f)) for f in frames]


def drain(pipeline: RunPipeline, *, limit_s: float = 60.0) -> None:
    """Commit until everything is done."""
    deadline = time.monotonic() + limit_s
    while True:
        pipeline.commit()
        if pipeline.settled():
            return
        assert time.monotonic() < deadline, "the pipeline did not settle"
        time.sleep(0.001)


def run_whole(output: Path, workers: Workers, said: Said, **options: Any) -> Path:
    """Folder of a run whose records and frames came at once."""
    pipeline = open_run(output, workers, started=said.started, **options)
    feed_records(pipeline, said.records, origin=said.origin)
    feed_frames(pipeline, said.frames, origin=said.origin)
    drain(pipeline)
    pipeline.close()
    return pipeline.folder


def rows_of(folder: Path, of: RowsOf = "run") -> list[dict[str, Any]]:
    with RunReader(folder) as reader:
        return [row.values for row in reader.rows(of=of)]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file that a user gets, by name."""
    paths = (p for p in folder.rglob("*") if p.is_file() and "sqlite" not in p.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
