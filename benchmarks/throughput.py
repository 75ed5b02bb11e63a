"""From publish to commit over loopback: batches/s of scalars, MB/s of frames; recordings' speed.

A `Publisher` in this process sends to an analyzer in another one (its real sockets, receive
loop, store and worker processes, W&B off) until everything is acknowledged, which is after its
commit. The clock runs from the first hand-over to the last acknowledgment; MB are 10^6 bytes of
the frames' payloads.

scalars          batches with ten scalars and no frame
frames           frames of 16 tiles of 256² with two maps (6.3 MB each), the real analysis
frames, no work  the same, with an analysis injected that decodes the frame and returns no
                 metrics: what is left is transport, the way to a worker process, and commit
recording        the same frames, and small records, through RecordingWriter and RecordingReader
replay           `Replay` of a recording of scalars into a fresh run folder, to its end

    python benchmarks/throughput.py [--batches N] [--frames N] [--json FILE|-]
"""

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
from measure.analyzer import Analyzer
from measure.output import machine, parser, show

from shared.codec import encode, join
from shared.messages import BatchFrame, BatchMetrics, RunStarted, Sample
from shared.recording import Recorded, RecordingReader, RecordingWriter
from trainer.publish import BatchKeys, FrameArrays, Publisher, PublishSettings

IDLE_ANALYZER: Final = str(Path(__file__).parent / "measure" / "idle_analyzer.py")
TILES: Final = (16, 256, 256, 3)
LONGEST_S: Final = 60.0
MB: Final = 1e6


class Ready:
    """A capture whose values are there: what is measured begins behind the capture."""

    def __init__(self, step: int, arrays: FrameArrays | None) -> None:
        self._arrays = arrays
        self._step = step
        self.nbytes = 0 if arrays is None else arrays.input.nbytes * 2

    def scalars_ready(self) -> bool:
        return True

    def ready(self) -> bool:
        return True

    def scalars(self) -> dict[str, float]:
        mine = {f"scalar_{i}": i + 0.1 * self._step for i in range(7)}
        return {"loss": 1.0 / self._step, "mse": 0.5, "memory_mb": 100.0, **mine}

    def frame(self) -> FrameArrays:
        assert self._arrays is not None
        return self._arrays

    def drop_frame(self) -> None:
        self._arrays = None


def make_arrays() -> FrameArrays:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, TILES, dtype=np.uint8)
    samples = tuple(Sample(id=str(i)) for i in range(TILES[0]))
    maps = {f"map_{n}": rng.random((TILES[0], n, n), dtype=np.float32) for n in (16, 32)}
    return FrameArrays(images, images[::-1].copy(), samples, maps)


def run_of(name: str) -> RunStarted:
    return RunStarted(
        run_id=name,
        run_name=name,
        producer="rank0",
        started_at_ns=time.time_ns(),
        analysis_freq=1_000_000,
    )


def measure_live(case: str, transport: str, count: int) -> dict[str, Any]:
    """Rates of one run over one transport."""
    with_frames, idle = case.startswith("frames"), case == "frames, no work"
    command = (IDLE_ANALYZER,) if idle else ("-m", "analyzer_service")
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        folder = Path(name)
        endpoint = f"ipc://{folder}/a" if transport == "ipc" else f"tcp://127.0.0.1:{free_port()}"
        with Analyzer(folder, endpoint, command=command) as analyzer:
            analyzer.wait_until_listening()
            warm = Publisher.start(
                run_of("warm"), endpoint=endpoint, settings=PublishSettings(journal_dir=folder)
            )
            publish(warm, 4, make_arrays() if with_frames else None)
            warm.close(timeout_s=30)
            cpu_s, mine_s = analyzer.cpu_s(), time.process_time()
            publisher = Publisher.start(
                run_of("timed"), endpoint=endpoint, settings=PublishSettings(journal_dir=folder)
            )
            seconds = publish(publisher, count, make_arrays() if with_frames else None)
            cpu_s, mine_s = analyzer.cpu_s() - cpu_s, time.process_time() - mine_s
            outcome = publisher.close(timeout_s=30)
    delivered = outcome.totals["train"].delivered
    payload = frame_bytes() if with_frames else 0
    done = delivered if with_frames else count
    if outcome.records_unacked or outcome.records_lost:
        raise RuntimeError(f"{case} over {transport}: not everything arrived: {outcome}")
    return {
        "case": case,
        "transport": transport,
        "batches": count,
        "frames_delivered": delivered,
        "seconds": round(seconds, 3),
        "batches_per_s": round(done / seconds, 1),
        "mb_per_s": round(delivered * payload / MB / seconds, 1) if with_frames else None,
        "analyzer_cpu_s": round(cpu_s, 2),
        "trainer_cpu_s": round(mine_s, 2),
    }


def publish(publisher: Publisher, count: int, arrays: FrameArrays | None) -> float:
    """Seconds from the first hand-over until everything is committed and acknowledged."""
    until_s = time.monotonic() + LONGEST_S
    while not publisher.progress.connected and time.monotonic() < until_s:
        time.sleep(0.01)
    began = time.perf_counter()
    for step in range(1, count + 1):
        publisher.publish(BatchKeys("train", 0, step, step, step), Ready(step, arrays))
        while arrays is not None and frames_pending(publisher, step) > 16:
            time.sleep(0.001)  # the queue's budget drops frames; here all are to arrive
    while not settled(publisher, count, arrays) and time.monotonic() < until_s:
        time.sleep(0.001)
    return time.perf_counter() - began


def frames_pending(publisher: Publisher, offered: int) -> int:
    totals = publisher.progress.totals.get("train")
    return offered if totals is None else offered - totals.delivered - totals.dropped


def settled(publisher: Publisher, count: int, arrays: FrameArrays | None) -> bool:
    progress = publisher.progress
    taken = arrays is None or frames_pending(publisher, count) == 0
    return taken and last_seen(publisher) >= count + 1 and progress.records_unacked == 0


def last_seen(publisher: Publisher) -> int:
    """How many records the sender thread has made."""
    return publisher._sender._stages.window.next_cseq - 1


def frame_bytes() -> int:
    return len(payload_of(1, make_arrays()))


def payload_of(number: int, arrays: FrameArrays) -> bytes:
    keys = {"phase": "train", "epoch": 0, "batch_idx": number, "global_step": number}
    frame = BatchFrame.model_validate(
        {
            **keys,
            "phase_step": number,
            "stream": "train",
            "fseq": number,
            "captured_at_ns": 1,
            "samples": arrays.samples,
            "input": arrays.input,
            "attention": arrays.attention,
            "reconstruction": arrays.reconstruction,
        }
    )
    return join(encode(frame))


def measure_recording(case: str, items: list[Recorded]) -> dict[str, Any]:
    """Writing and reading rates of one file; reading finds it in the page cache."""
    nbytes = sum(len(item.payload) for item in items)
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        path = Path(name) / "written.mcap"
        began = time.perf_counter()
        with closing(RecordingWriter(path)) as writer:
            for item in items:
                writer.write(item)
        written_s = time.perf_counter() - began
        began = time.perf_counter()
        count = sum(1 for _ in RecordingReader(path))
        read_s = time.perf_counter() - began
    assert count == len(items)
    return {
        "case": f"recording, {case}",
        "write_mb_per_s": round(nbytes / MB / written_s, 1),
        "read_mb_per_s": round(nbytes / MB / read_s, 1),
        "write_items_per_s": round(len(items) / written_s),
        "read_items_per_s": round(len(items) / read_s),
    }


def recorded(payloads: Iterator[bytes], channel: Any) -> list[Recorded]:
    return [
        Recorded("timed", "timed", "rank0", 1, channel, number, number, payload)
        for number, payload in enumerate(payloads, start=1)
    ]


def metrics_payloads(count: int) -> Iterator[bytes]:
    yield join(encode(run_of("timed")))
    for step in range(1, count):
        scalars = Ready(step, None).scalars()
        own = {name: scalars.pop(name) for name in ("loss", "mse", "memory_mb")}
        yield join(
            encode(
                BatchMetrics(
                    phase="train",
                    epoch=0,
                    batch_idx=step,
                    global_step=step,
                    phase_step=step,
                    captured_at_ns=step,
                    scalars=scalars,
                    **own,
                )
            )
        )


def measure_replay(items: list[Recorded]) -> dict[str, Any]:
    """Seconds from the opening of a recording to the end of its replayed run."""
    from analyzer_service.receive.inventory import Inventory
    from analyzer_service.receive.replay import Replay
    from analyzer_service.receive.runs import RunsSettings
    from analyzer_service.workers import PoolWorkers

    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        path = Path(name) / "written.mcap"
        with closing(RecordingWriter(path)) as writer:
            for item in items:
                writer.write(item)
        began = time.perf_counter()
        with closing(PoolWorkers(1)) as workers:
            Replay(Inventory([path]), workers, RunsSettings(Path(name))).run()
        seconds = time.perf_counter() - began
    return {
        "case": "replay, scalars, with JSON files and report",
        "seconds": round(seconds, 2),
        "batches_per_s": round((len(items) - 1) / seconds),
    }


def free_port() -> int:
    """A port of the loopback whose neighbor is free as well, most likely."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def table(results: dict[str, Any]) -> None:
    print(f"{'':<34}{'batches/s':>11}{'MB/s':>9}{'CPU s: analyzer':>17}{'trainer':>9}{'wall s':>8}")
    for case in results["live"]:
        name = f"{case['case']}, {case['transport']}"
        rate = "" if case["mb_per_s"] is None else f"{case['mb_per_s']:,.0f}"
        print(
            f"{name:<34}{case['batches_per_s']:>11,.0f}{rate:>9}{case['analyzer_cpu_s']:>17.2f}"
            f"{case['trainer_cpu_s']:>9.2f}{case['seconds']:>8.2f}"
        )
    for case in results["recordings"]:
        print(
            f"{case['case']:<34}write {case['write_mb_per_s']:,.0f} MB/s "
            f"({case['write_items_per_s']:,} items/s), read {case['read_mb_per_s']:,.0f} MB/s "
            f"({case['read_items_per_s']:,} items/s)"
        )
    replay = results["replay"]
    print(f"{replay['case']}: {replay['batches_per_s']:,} batches/s")


def measure(batches: int, frames: int) -> dict[str, Any]:
    about, payload = machine(), payload_of(1, make_arrays())
    live = [
        measure_live(case, transport, count)
        for case, count in (
            ("scalars", batches),
            ("frames", frames // 4),
            ("frames, no work", frames),
        )
        for transport in ("tcp", "ipc")
    ]
    small = recorded(metrics_payloads(batches), "ctl")
    return {
        "benchmark": "throughput",
        "machine": about,
        "frame_bytes": len(payload),
        "live": live,
        "recordings": [
            measure_recording("frames", recorded((payload for _ in range(frames)), "train")),
            measure_recording("scalars", small),
        ],
        "replay": measure_replay(small),
    }


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--batches", type=int, default=20_000)
    options.add_argument("--frames", type=int, default=120)
    given = options.parse_args()
    show(measure(given.batches, given.frames), table, given.json)


if __name__ == "__main__":
    main()
