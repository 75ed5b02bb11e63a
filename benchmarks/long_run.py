"""A run of a million batches: what grows with it, and what must not.

A `Publisher` in this process sends a simulated run over real sockets (ipc) to ``serve`` in another
one: scalars of every batch, validation and epochs, and a frame of 4 tiles of 128² every so often,
so that the scalars set the pace. Meanwhile and afterwards is measured

memory        resident, of the trainer's side (this process), of the analyzer and of its workers:
              the slope over the run's last three fifths, and the last fifth against the second
commit rate   rows that were released each second, in every tenth of the run
disk          bytes a batch of the database (by table), of frames, dashboards and JSON
last files    how long final_training_metrics.json and the report take in the analyzer's worker,
              and how far its memory rises meanwhile
page          GETs of the page's own process on the finished run, the first and the median of 5

    python benchmarks/long_run.py [--batches N] [--epoch N] [--frame-every N] [--analysis-freq N]
                                  [--json FILE|-]
"""

import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from measure.analyzer import Analyzer
from measure.long_run_table import table
from measure.output import machine, parser, show
from measure.published import run_of
from measure.simulated import Simulated
from measure.standing_run import disk, page

from analyzer_service.commit.database import open_reader
from shared.errors import ConfigurationError
from shared.naming import run_folder_name
from trainer.publish import Publisher, PublishSettings

MIB: Final = 1 << 20
RUN: Final = "long"
LOOK_S: Final = 0.25
_LONGEST_S: Final = 1800.0


@dataclass(frozen=True)
class Seen:
    """One look: rows released and not, seconds since the start, bytes of memory and the WAL."""

    rows: int
    behind: int
    at_s: float
    trainer: int
    analyzer: int
    workers: int
    wal: int


@dataclass
class Watch:
    """Looks at both sides a few times a second."""

    analyzer: Analyzer
    folder: Path
    seen: list[Seen] = field(default_factory=list)
    _began_s: float = field(default_factory=time.perf_counter)

    def batch(self, number: int) -> int:
        """`number` batches are handed over; how many rows are not released of them."""
        if not self.seen or time.perf_counter() - self._began_s >= self.seen[-1].at_s + LOOK_S:
            self.look(number)
        return self.seen[-1].behind

    def look(self, number: int) -> None:
        """Note how things are now."""
        rows = released(self.folder)
        analyzer, workers = self.analyzer.resident_bytes()
        wal = self.folder / "metrics.sqlite-wal"
        self.seen.append(
            Seen(
                rows,
                number - rows,
                time.perf_counter() - self._began_s,
                psutil.Process().memory_info().rss,
                analyzer,
                workers,
                wal.stat().st_size if wal.exists() else 0,
            )
        )


def released(folder: Path) -> int:
    """Rows that are committed and released."""
    try:
        connection = open_reader(folder)
    except ConfigurationError:  # it is being made
        return 0
    try:
        (rows,) = connection.execute("SELECT max(release) FROM batches").fetchone()
    finally:
        connection.close()
    return rows or 0


def measure(given: Any) -> dict[str, Any]:
    about = machine()
    with tempfile.TemporaryDirectory(prefix="long-run-") as name:
        output = Path(name)
        folder = output / run_folder_name(RUN)
        endpoint = f"ipc://{output}/a"
        more = ("--workers", "1", "--metrics", "off", "--once")
        with Analyzer(output, endpoint, more=more) as analyzer:
            analyzer.wait_until_listening()
            watch = Watch(analyzer, folder)
            found = send(watch, output, endpoint, given)
            found |= {"last_files": last_files(analyzer, folder)}
            analyzer.wait(_LONGEST_S)
        found |= judged(watch.seen)
        found["disk"] = disk(folder, given.batches)
        found["page"] = page(output, RUN, given.batches)
    about["load_after"] = machine()["load_before"]
    return {"benchmark": "long_run", "machine": about, "batches": given.batches, **found}


def send(watch: Watch, output: Path, endpoint: str, given: Any) -> dict[str, Any]:
    """Publish the run until every row is released."""
    facts = {"analysis_freq": given.analysis_freq, "total_steps": given.batches}
    run = run_of(RUN).model_copy(update=facts)
    settings = PublishSettings(journal_dir=output)
    publisher = Publisher.start(run, endpoint=endpoint, settings=settings)
    stream = Simulated(publisher, given.batches, given.epoch, given.frame_every, watch.batch)
    began = time.perf_counter()
    stream.run()
    until_s = time.monotonic() + _LONGEST_S
    while watch.batch(given.batches) and time.monotonic() < until_s:
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    outcome = publisher.close(timeout_s=60)
    if outcome.records_unacked or outcome.records_lost or not outcome.complete:
        raise RuntimeError(f"not everything arrived: {outcome}")
    journal = [path.stat().st_size for path in output.glob("*.mcap")]
    return {
        "seconds": round(seconds, 1),
        "rows_per_s": round(given.batches / seconds),
        "frames": stream.frames,
        "journal_mib": round(sum(journal) / MIB, 1),
    }


def last_files(analyzer: Analyzer, folder: Path) -> dict[str, Any]:
    """How long each of the last two files is written, and the memory that it takes at most."""
    final, report = folder / "final_training_metrics.json", folder / "final_summary_report.html"
    found = {}
    for name, path in (("final JSON", final), ("report", report)):
        _, before = analyzer.resident_bytes()
        most, began = before, time.perf_counter()
        while not path.exists() and time.perf_counter() - began < _LONGEST_S:
            most = max(most, analyzer.resident_bytes()[1])
            time.sleep(0.02)
        found[name] = {
            "seconds": round(time.perf_counter() - began, 2),
            "more_mib": round((most - before) / MIB, 1),
        }
    return found


def judged(seen: list[Seen]) -> dict[str, Any]:
    """Memory and rate over the run, in fifths and tenths of its rows."""
    rows = np.array([each.rows for each in seen], dtype=float)
    times = np.array([each.at_s for each in seen])
    whole = rows[-1]
    memory = {
        side: _memory(rows, np.array([getattr(each, side) for each in seen]) / MIB)
        for side in ("trainer", "analyzer", "workers")
    }
    first = int(np.argmax(rows > 0))  # before, the analyzer got ready
    edges = np.interp(np.linspace(rows[first], whole, 11), rows[first:], times[first:])
    rates = (whole - rows[first]) / 10 / np.diff(edges)
    return {
        "memory_mib": memory,
        "rates": [round(float(rate)) for rate in rates],
        "most_behind": max(each.behind for each in seen),
        "rate_last_to_second": round(float(rates[-2:].mean() / rates[2:4].mean()), 3),
        "wal_mib": {
            "most": round(max(each.wal for each in seen) / MIB, 1),
            "last": round(seen[-1].wal / MIB, 1),
        },
    }


def _memory(rows: np.ndarray, mib: np.ndarray) -> dict[str, float]:
    whole = rows[-1]
    late = rows >= 0.4 * whole
    slope = np.polyfit(rows[late], mib[late], 1)[0] if late.sum() > 2 else float("nan")
    second = np.median(mib[(rows >= 0.2 * whole) & (rows < 0.4 * whole)])
    last = np.median(mib[rows >= 0.8 * whole])
    return {
        "second_fifth": round(float(second), 1),
        "last_fifth": round(float(last), 1),
        "most": round(float(mib.max()), 1),
        "slope_per_100k": round(float(slope * 100_000), 2),
    }


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--batches", type=int, default=1_000_000)
    options.add_argument("--epoch", type=int, default=50_000)
    options.add_argument("--frame-every", type=int, default=2_000)
    options.add_argument("--analysis-freq", type=int, default=50_000)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    given = options.parse_args()
    show(measure(given), table, given.json)


if __name__ == "__main__":
    main()
