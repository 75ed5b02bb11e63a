"""Whether the analyzer keeps up: 30 batches/s on one core, and more with more workers.

Live: a `Publisher` sends a batch of 4 tiles of 128² (of scikit-image's immunohistochemistry image)
with reconstructions, two gates and two KAN maps, 30 times a second, to ``serve`` whose processes
may all run on one core only; the sender has another one. It keeps up if nothing is dropped and
the last frame is committed soon after it was sent, at whatever time one looks.

Replay: the same batches from a recording as fast as they go, with 1, 2, … workers and as many
cores, to finished files. The rows must be equal whatever the number of workers.

    python benchmarks/keeping_up.py [--seconds N] [--rate N] [--batches N] [--json FILE|-]
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import skimage
from measure.analyzer import ROOT, Analyzer
from measure.output import machine, parser, show
from measure.published import Ready, frame_parts, metrics_payload, run_of
from scipy.ndimage import gaussian_filter

from analyzer_service.commit.reader import RunReader
from shared.codec import encode, join
from shared.messages import Sample
from shared.recording import Recorded, RecordingWriter
from trainer.publish import BatchKeys, FrameArrays, Publisher, PublishSettings

RATE: Final = 30.0
SIDE: Final = 128
TILES: Final = 4
DRAIN_S: Final = 60.0


def make_tissue(number: int) -> FrameArrays:
    """Frame `number`: other tiles and other gates than the one before."""
    rng = np.random.default_rng(number)
    image = skimage.data.immunohistochemistry()
    corners = rng.integers(0, min(image.shape[:2]) - SIDE, size=(TILES, 2))
    tiles = np.stack([image[r : r + SIDE, c : c + SIDE] for r, c in corners])
    blurred = np.stack([gaussian_filter(tile, (1.2, 1.2, 0)) for tile in tiles])
    samples = tuple(Sample(id=f"{r}-{c}") for r, c in corners.tolist())
    attention = {"bam_384": _gates(rng, 32), "bam_16": _gates(rng, 16)}
    activation = {"encoder_kan": _gates(rng, 16), "decoder_kan": _gates(rng, 32)}
    return FrameArrays(tiles, blurred, samples, attention, activation)


def _gates(rng: np.random.Generator, side: int) -> np.ndarray:
    smooth = gaussian_filter(rng.normal(size=(TILES, side, side)), (0, side / 12, side / 12))
    return (1 / (1 + np.exp(-10 * smooth))).astype(np.float32)


def measure_live(seconds: float, rate: float) -> dict[str, Any]:
    """Send at `rate`, and see how far behind the analyzer is, then and at the end."""
    frames = [make_tissue(number) for number in range(32)]
    with tempfile.TemporaryDirectory(prefix="keeping-up-") as name:
        folder = Path(name)
        endpoint = f"ipc://{folder}/a"
        more = ("--workers", "1", "--metrics", "off")
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:1])  # the analyzer's processes inherit it
        try:
            analyzer = Analyzer(folder, endpoint, more=more)
        finally:
            os.sched_setaffinity(0, cores[1:] or cores)
        try:
            with analyzer:
                analyzer.wait_until_listening()
                settings = PublishSettings(journal_dir=folder)
                run = run_of("live").model_copy(update={"stain": "ihc"})
                publisher = Publisher.start(run, endpoint=endpoint, settings=settings)
                _warm(publisher, frames)
                cpu_s = analyzer.cpu_s()
                found = _send(publisher, frames, seconds, rate)
                found["analyzer_cores"] = round((analyzer.cpu_s() - cpu_s) / found["seconds"], 2)
                outcome = publisher.close(timeout_s=30)
        finally:
            os.sched_setaffinity(0, cores)
    totals = outcome.books.frames["train"]
    found |= {"delivered": totals.delivered, "dropped": totals.dropped}
    found["keeps_up"] = totals.dropped == 0 and found["most_behind"] <= 2 * rate
    return found


def _warm(publisher: Publisher, frames: list[FrameArrays]) -> None:
    for step in range(1, 9):
        publisher.publish(BatchKeys("train", 0, step, step, step), Ready(step, frames[step]))
    _wait(publisher, 8)


def _send(
    publisher: Publisher, frames: list[FrameArrays], seconds: float, rate: float
) -> dict[str, Any]:
    began, step, behind = time.perf_counter(), 8, []
    count = round(seconds * rate)
    for number in range(count):
        due = began + number / rate
        while time.perf_counter() < due:
            time.sleep(0.001)
        step += 1
        frame = frames[step % len(frames)]
        publisher.publish(BatchKeys("train", 0, step, step, step), Ready(step, frame))
        behind.append(_pending(publisher, step))
    sent_s = time.perf_counter() - began
    _wait(publisher, step)
    spent = time.perf_counter() - began
    return {
        "batches": count,
        "rate": round(count / sent_s, 1),
        "seconds": round(spent, 2),
        "most_behind": max(behind),
        "median_behind": float(np.median(behind)),
        "behind_at_end_s": round(spent - sent_s, 2),
    }


def _pending(publisher: Publisher, offered: int) -> int:
    totals = publisher.progress.totals.get("train")
    return offered if totals is None else offered - totals.delivered - totals.dropped


def _wait(publisher: Publisher, offered: int) -> None:
    until = time.monotonic() + DRAIN_S
    while _pending(publisher, offered) and time.monotonic() < until:
        time.sleep(0.005)


def measure_replay(batches: int, workers: int) -> dict[str, Any]:
    """Batches a second of ``replay --workers``, on as many cores, its start left out."""
    with tempfile.TemporaryDirectory(prefix="keeping-up-") as name:
        path = Path(name) / "recorded.mcap"
        record(path, batches)
        began = time.perf_counter()
        _replay(Path(name), path, workers)
        seconds = time.perf_counter() - began
        record(path, 1)
        began = time.perf_counter()
        _replay(Path(name) / "start", path, workers)
        start_s = time.perf_counter() - began
        return {
            "workers": workers,
            "batches_per_s": round((batches - 1) / (seconds - start_s), 1),
            "seconds": round(seconds, 2),
            "start_s": round(start_s, 2),
            "rows": digest_of_rows(Path(name) / "auto_analysis_timed"),
        }


def _replay(folder: Path, path: Path, workers: int) -> None:
    command = (sys.executable, "-m", "analyzer_service", "replay", str(path))
    options = ("--output-dir", str(folder), "--workers", str(workers))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, *options], check=True, capture_output=True, env=environment)


def record(path: Path, batches: int) -> None:
    path.unlink(missing_ok=True)
    who = ("timed", "timed", "rank0", 1)
    run = run_of("timed").model_copy(update={"stain": "ihc", "started_at_ns": 0})
    with RecordingWriter(path) as writer:
        writer.write(Recorded(*who, "ctl", 1, 0, join(encode(run))))
        for step in range(1, batches + 1):
            metrics = metrics_payload(step, with_frame=True)
            writer.write(Recorded(*who, "ctl", step + 1, step, metrics))
            frame = join(frame_parts(step, make_tissue(step)))
            writer.write(Recorded(*who, "train", step, step, frame))


def digest_of_rows(folder: Path) -> str:
    with RunReader(folder) as reader:
        text = repr([row.values for row in reader.rows()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def measure(given: Any) -> dict[str, Any]:
    about = machine()
    live = measure_live(given.seconds, given.rate)
    replays = [measure_replay(given.batches, n) for n in range(1, psutil.cpu_count() + 1)]
    return {"benchmark": "keeping_up", "machine": about, "live": live, "replay": replays}


def table(found: dict[str, Any]) -> None:
    about, live = found["machine"], found["live"]
    print(
        f"{about['cores']} cores, load {about['load_before']}; {TILES} tiles of {SIDE}² a batch\n"
    )
    print(f"live, on one core: {live['rate']} batches/s for {live['seconds']} s")
    print(f"  frames: {live['delivered']} delivered, {live['dropped']} dropped")
    print(f"  behind: median {live['median_behind']:.0f}, most {live['most_behind']} batches;")
    print(f"  all committed {live['behind_at_end_s']} s after the last was sent")
    print(f"  the analyzer took {live['analyzer_cores']} of the core")
    print(f"  keeps up: {'yes' if live['keeps_up'] else 'NO'}\n")
    print("replay    batches/s")
    for row in found["replay"]:
        print(f"{row['workers']} workers {row['batches_per_s']:>10}   rows {row['rows']}")
    same = len({row["rows"] for row in found["replay"]}) == 1
    print(f"rows are equal: {'yes' if same else 'NO'}")


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--rate", type=float, default=RATE)
    options.add_argument("--batches", type=int, default=300)
    given = options.parse_args()
    show(measure(given), table, given.json)


if __name__ == "__main__":
    main()
