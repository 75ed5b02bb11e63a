"""From publish to commit over loopback: batches/s of scalars, MB/s of frames; recordings' speed.

A `Publisher` in this process sends to an analyzer in another one (its real sockets, receive
loop, store and worker process, W&B off) until everything is acknowledged, which is after its
commit. The clock runs from the first hand-over to the last acknowledgment; MB are 10^6 bytes of
the frames' payloads. "curve" is tcp with keys on both sides.

scalars          batches with ten scalars and no frame
frames           frames of 16 tiles of 256² with two maps (6.4 MB each), the real analysis
frames, no work  the same, with an analysis injected that decodes the frame and returns no
                 metrics: what is left is transport, the way to a worker process, and commit
small frames     likewise without work, 4 tiles of 128² (0.4 MB): what the trainer sends by default
plain zmq        beside each: the same bytes by PUSH and PULL between two processes, which decode,
                 keep and answer nothing: the most that these sockets can carry here
recording        batches with large frames, and scalars alone, through RecordingWriter and
                 RecordingReader, and through the MCAP library's own writer and reader
replay           `Replay` of such a recording into a fresh run folder, to its end

Everything is measured `--rounds` times, one row after the other in each round, and the round with
the median rate is shown: other work on the machine hits a row and its plain neighbor alike.

    python benchmarks/throughput.py [--batches N] [--frames N] [--rounds N] [--json FILE|-]
"""

import random
import socket
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from measure.analyzer import Analyzer
from measure.files import measure_recording, measure_replay
from measure.output import machine, parser, show
from measure.plain_zmq import push
from measure.published import (
    LARGE,
    SMALL,
    Ready,
    frame_parts,
    make_arrays,
    metrics_payload,
    recorded_frames,
    recorded_scalars,
    run_of,
)
from measure.throughput_table import table

from shared.codec import Buffer, size_of
from shared.protocol import Frame, Record, pack
from shared.transport.keys import make_keys
from trainer.publish import BatchKeys, FrameArrays, Publisher, PublishSettings

IDLE_ANALYZER: Final = str(Path(__file__).parent / "measure" / "idle_analyzer.py")
LONGEST_S: Final = 120.0
MB: Final = 1e6


@dataclass(frozen=True)
class Case:
    """One kind of run: how many batches, with which frames, analyzed or not."""

    name: str
    count: int
    transports: tuple[str, ...]
    frame: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    idle: bool = False

    def arrays(self) -> FrameArrays | None:
        return None if self.frame is None else make_arrays(self.frame)

    def parts(self) -> list[Buffer]:
        """What crosses a socket for one batch: its frame, or its scalars."""
        arrays = self.arrays()
        if arrays is None:
            return [pack(Record(cseq=1000)), metrics_payload(1000)]
        return [pack(Frame(stream="train", fseq=1000)), *frame_parts(1000, arrays)]


def measure_live(case: Case, transport: str) -> dict[str, Any]:
    """Rates of one run over one transport."""
    command = (IDLE_ANALYZER,) if case.idle else ("-m", "analyzer_service")
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        folder, keys = Path(name), None
        endpoint = url_of(transport, folder)
        if transport == "curve":
            keys = folder / "keys"
            make_keys(keys)
        more = () if keys is None else ("--keys", str(keys))
        with Analyzer(folder, endpoint, command=command, more=more) as analyzer:
            analyzer.wait_until_listening()
            warm = start("warm", endpoint, keys, folder)
            publish(warm, 4, case.arrays())
            warm.close(timeout_s=30)
            cpu_s, mine_s = analyzer.cpu_s(), time.process_time()
            publisher = start("timed", endpoint, keys, folder)
            seconds = publish(publisher, case.count, case.arrays())
            cpu_s, mine_s = analyzer.cpu_s() - cpu_s, time.process_time() - mine_s
            outcome = publisher.close(timeout_s=30)
    if outcome.records_unacked or outcome.records_lost or not outcome.complete:
        raise RuntimeError(f"{case.name} over {transport}: not everything arrived: {outcome}")
    return rates(case, transport, seconds) | {
        "analyzer_cpu_s": round(cpu_s, 2),
        "trainer_cpu_s": round(mine_s, 2),
    }


def measure_plain(case: Case, transport: str) -> dict[str, Any]:
    """Rates of the same bytes by plain ZeroMQ."""
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        url = url_of(transport, Path(name))
        plain = push(url, case.parts(), case.count, curve=transport == "curve")
    return rates(case, transport, plain.seconds) | {
        "analyzer_cpu_s": round(plain.receiver_cpu_s, 2),
        "trainer_cpu_s": round(plain.sender_cpu_s, 2),
    }


def rates(case: Case, transport: str, seconds: float) -> dict[str, Any]:
    nbytes = 0 if case.frame is None else size_of(case.parts()[1:])
    return {
        "case": case.name,
        "transport": transport,
        "batches": case.count,
        "seconds": round(seconds, 3),
        "batches_per_s": round(case.count / seconds, 1),
        "mb_per_s": round(case.count * nbytes / MB / seconds, 1) if nbytes else None,
    }


def start(run: str, endpoint: str, keys: Path | None, folder: Path) -> Publisher:
    settings = PublishSettings(journal_dir=folder)
    return Publisher.start(run_of(run), endpoint=endpoint, keys=keys, settings=settings)


def publish(publisher: Publisher, count: int, arrays: FrameArrays | None) -> float:
    """Seconds from the first hand-over until everything is committed and acknowledged."""
    until_s = time.monotonic() + LONGEST_S
    while not publisher.progress.connected and time.monotonic() < until_s:
        time.sleep(0.01)
    began = time.perf_counter()
    for step in range(1, count + 1):
        publisher.publish(BatchKeys("train", 0, step, step, step), Ready(step, arrays))
        # The queue's budget drops frames; here all are to arrive.
        while arrays is not None and pending_bytes(publisher, step, arrays) > 100 * MB:
            time.sleep(0.001)
    while not settled(publisher, count, arrays) and time.monotonic() < until_s:
        time.sleep(0.001)
    return time.perf_counter() - began


def pending_bytes(publisher: Publisher, offered: int, arrays: FrameArrays) -> int:
    return frames_pending(publisher, offered) * 2 * arrays.input.nbytes


def frames_pending(publisher: Publisher, offered: int) -> int:
    totals = publisher.progress.totals.get("train")
    return offered if totals is None else offered - totals.delivered - totals.dropped


def settled(publisher: Publisher, count: int, arrays: FrameArrays | None) -> bool:
    progress = publisher.progress
    taken = arrays is None or frames_pending(publisher, count) == 0
    # The sender thread has made every record, and each is acknowledged.
    made = publisher._sender._stages.window.next_cseq - 1
    return taken and made >= count + 1 and progress.records_unacked == 0


def url_of(transport: str, folder: Path) -> str:
    """An address in `folder`, or one of the loopback whose port and the next one are free."""
    if transport == "ipc":
        return f"ipc://{folder}/a"
    while True:
        # Below the ports that systems give to outgoing connections, which would take one of them.
        port = random.randrange(20_000, 32_000, 2)
        with socket.socket() as ctl, socket.socket() as bulk:
            try:
                ctl.bind(("127.0.0.1", port))
                bulk.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
        return f"tcp://127.0.0.1:{port}"


def measure(batches: int, frames: int, rounds: int) -> dict[str, Any]:
    everywhere = ("tcp", "curve", "ipc")
    cases = (
        Case("scalars", batches, everywhere),
        Case("frames", frames // 8, ("tcp", "curve"), LARGE),
        Case("frames, no work", frames, everywhere, LARGE, idle=True),
        Case("small frames, no work", 4 * frames, everywhere, SMALL, idle=True),
    )
    files = {"scalars": recorded_scalars(batches), "frames": recorded_frames(frames // 2)}
    about = machine()
    live, plain, recordings, replays = [], [], [], []
    for _ in range(rounds):
        for case in cases:
            for transport in case.transports:
                live.append(measure_live(case, transport))
                plain.append(measure_plain(case, transport))
        for name, items in files.items():
            recordings += measure_recording(name, items)
        replays.append(measure_replay("scalars", files["scalars"]))
        replays.append(measure_replay("frames, no work", files["frames"], idle=True))
    about["load_after"] = machine()["load_before"]
    return {
        "benchmark": "throughput",
        "machine": about,
        "rounds": rounds,
        "live": medians(live, "case", "transport"),
        "plain": medians(plain, "case", "transport"),
        "recordings": medians(recordings, "case", "by", rate="write_items_per_s"),
        "replay": medians(replays, "case"),
    }


def medians(
    rows: list[dict[str, Any]], *keys: str, rate: str = "batches_per_s"
) -> list[dict[str, Any]]:
    """Of the rows that agree in `keys`, the one with the median rate, and all rates beside it."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return [
        next(row for row in same if row[rate] == statistics.median_high(r[rate] for r in same))
        | {f"{rate}_of_rounds": [row[rate] for row in same]}
        for same in groups.values()
    ]


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--batches", type=int, default=20_000)
    options.add_argument("--frames", type=int, default=200)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    show(measure(given.batches, given.frames, given.rounds), table, given.json)


if __name__ == "__main__":
    main()
