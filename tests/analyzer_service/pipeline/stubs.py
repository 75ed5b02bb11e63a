"""Stand-ins for what workers call: quick, exact, and able to fail on demand."""

import errno
import json
import os
import signal
import time
from pathlib import Path

from analyzer_service.analyses.frame import FrameResult
from analyzer_service.analyses.tissue_facts import TissueFacts
from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import Calls
from shared.errors import SinkError
from shared.messages import BatchFrame

_HERE = "tests.analyzer_service.pipeline.stubs"
CALLS = Calls(
    analyze=f"{_HERE}:analyze",
    dashboard=f"{_HERE}:dashboard",
    epoch=f"{_HERE}:epoch",
    final=f"{_HERE}:final",
    report=f"{_HERE}:report",
)


def analyze(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """Means of the images; a frame of train batch 13 raises."""
    if (frame.phase, frame.phase_step) == ("train", 13):
        raise ValueError("thirteen is not analyzed")
    samples = [
        {
            "mse": float(i) + frame.fseq,
            "ssim": float(image.mean()) / 255,
            "attention_bam_384_attention_entropy": float(frame.attention["bam_384"][i].sum()),
        }
        for i, image in enumerate(frame.reconstruction)
    ]
    row = {name: sum(one[name] for one in samples) / len(samples) for name in samples[0]}
    if frame.phase == "val":
        for values in (row, *samples):
            values["attention_bam_384_temporal_consistency"] = float("nan")
    row |= {"psnr": float("nan"), "samples": float(len(samples))}
    row |= {"attention_bam_384_undefined": 0.0, "attention_bam_16_attention_entropy": 2.5}
    gates = frame.attention["bam_384"]
    tile_maps = [{"attention/bam_384": gate} for gate in gates] if frame.phase == "val" else []
    return FrameResult(row=row, samples=samples, tile_maps=tile_maps)


def analyze_slowly(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """Takes ever less time, so that frames come back in another order than they went."""
    time.sleep(0.02 * (frame.fseq % 3))
    return analyze(frame, tissue)


def analyze_hanging(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """Never returns for train batch 2."""
    if (frame.phase, frame.phase_step) == ("train", 2):
        time.sleep(3600)
    return analyze(frame, tissue)


def analyze_in_turn(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """Notes whose frame it is (its first pixel), one line each; none before the gate is there."""
    log = Path(os.environ["SIDELIGHT_TEST_LOG"])
    while not log.with_name("gate").exists():
        time.sleep(0.01)
    with log.open("a") as file:
        file.write(f"{frame.input.flat[0]}\n")
    return FrameResult(row={"samples": 1.0}, samples=[{"mse": 0.0}])


def analyze_dying(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """Is killed with train batch 2, every time."""
    if (frame.phase, frame.phase_step) == ("train", 2):
        os.kill(os.getpid(), signal.SIGKILL)
    return analyze(frame, tissue)


def dashboard(folder: Path, phase: str, number: int, release: int, nuclei: bool) -> Path:
    """What a dashboard depends on: history up to its row, and whether its images are there."""
    with RunReader(folder) as reader:
        frame = reader.frame(phase, number)
        history = reader.history(phase=phase, upto=release, names=["loss", "ssim"])
        content = {
            "row": reader.row(release).values["phase_step"],
            "images": None if frame is None else float(frame.input.mean()),
            "loss": history["loss"].tolist(),
            "steps": history["global_step"].tolist(),
        }
    return _write(folder / f"{phase}_batch_{number:06d}.png", content)


def epoch(folder: Path, number: int, release: int) -> Path:
    """Losses of an epoch's rows up to `release`."""
    with RunReader(folder) as reader:
        losses = [row.values["loss"] for row in reader.rows(epoch=number, upto=release)]
    return _write(folder / f"epoch_{number}_metrics.json", losses)


def final(folder: Path, release: int) -> Path:
    """Every row up to `release`."""
    with RunReader(folder) as reader:
        rows = [row.values for row in reader.rows(upto=release)]
    return _write(folder / "final_training_metrics.json", rows)


def report(folder: Path, release: int) -> Path:
    """The names of the files that are there."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".png", ".json"))
    return _write(folder / "final_summary_report.md", names)


def report_missing(folder: Path, release: int) -> Path:
    """Cannot be written."""
    raise OSError("no report today")


def refused(folder: Path, *_: object) -> Path:
    """Is not taken by the disk, as the sinks say it."""
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    raise SinkError(f"cannot write {folder}: {error.strerror}") from error


def misdrawn(folder: Path, *_: object) -> Path:
    """Fails for a reason of its own."""
    raise ValueError(f"{folder} has no such column")


def final_on_a_full_disk(folder: Path, release: int) -> Path:
    """Cannot be written the first three times."""
    attempts = folder / "attempts"
    count = attempts.stat().st_size if attempts.exists() else 0
    if count < 3:
        attempts.write_bytes(bytes(count + 1))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "final_training_metrics.json")
    return final(folder, release)


def _write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path
