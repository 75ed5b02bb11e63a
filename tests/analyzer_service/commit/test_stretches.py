"""Stretches of rows, and what reports make of them, against numpy over all of the rows."""

import gzip
import math
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer_service.commit.database import run_database
from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.run_rows import Source
from analyzer_service.commit.stretches import ROWS
from analyzer_service.compare.sides import read_epoch, read_side
from analyzer_service.own.summary import summary_of_run
from analyzer_service.sinks.report import write_report
from analyzer_service.sinks.report_batches import read_batches
from tests.analyzer_service.sinks.runs import RunWriter
from tests.builders import make_batch

Floats = NDArray[np.float64]
SCHEMA_3 = Path(__file__).with_name("schema_3.sqlite.gz")
KEYS = ("epoch", "batch_idx", "global_step", "phase_step", "rank", "timestamp", "batch_size")
TRAINED, EPOCH, VALIDATED = 2600, 700, 1100
RNG = np.random.default_rng(5)
FAR = 1e9 + RNG.normal(size=TRAINED)  # whose spread a sum of squares would lose
TIMES = RNG.gamma(2.0, 5.0, size=TRAINED)


def add(run: RunWriter, first: int, last: int, *, phase: str = "train", epoch: int = EPOCH) -> None:
    """Rows `first` to `last` of a phase, of `epoch` rows an epoch."""
    for number in range(first, last + 1):
        scalars = {"far": FAR[number - 1]} | ({"rare": 1.0 * number} if number % 3 == 0 else {})
        message = make_batch(
            number,
            phase=phase,
            frame=None,
            epoch=(number - 1) // epoch,
            loss=_loss(number),
            scalars=scalars,
            batch_size=None if number % 11 == 0 else number % 5,
            training_time_ms=None if number % 7 == 0 else TIMES[number - 1],
            memory_mb=None if number < 1500 else 900.0 + number % 100,
        )
        run.cseq += 1
        run.released.add_batch(Source(run.origin, run.cseq, run.started), message, None)


def _loss(number: int) -> float:
    wild = {5: math.nan, 1030: math.inf, 1031: -math.inf}
    return wild.get(number, math.sin(number) + 2000 / number)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 2,600 training batches, and 1,100 validations of one batch."""
    made: Path = tmp_path_factory.mktemp("stretches") / "auto_analysis_demo"
    run = RunWriter(made)
    run.store.connection.execute("PRAGMA synchronous = OFF")
    with run.store.transaction():
        add(run, 1, TRAINED)
        add(run, 1, VALIDATED, phase="val", epoch=1)
    run.close()
    return made


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(folder, tmp_path / folder.name))


def as_schema_3(folder: Path) -> None:
    """Make a run what the version before stretches would have left."""
    connection = sqlite3.connect(run_database(folder))
    connection.execute("DROP TABLE stretches")
    connection.execute("PRAGMA user_version = 3")
    connection.commit()
    connection.close()


def rows_of(folder: Path, phase: str, upto: int = 10**9) -> list[dict[str, Any]]:
    with RunReader(folder) as reader:
        return [row.values for row in reader.rows(phase=phase, upto=upto)]


def column(rows: list[dict[str, Any]], name: str) -> Floats:
    """Values of the rows that have a number of this name."""
    return np.array([row[name] for row in rows if name in row], dtype=np.float64)


def by_definition(values: Floats) -> dict[str, Any]:
    """Statistics in two passes over the values, in extended precision."""
    finite = values[np.isfinite(values)].astype(np.longdouble)
    n = len(finite)
    return {
        "mean": float(finite.mean()) if n else math.nan,
        "std": float(finite.std(ddof=1)) if n > 1 else math.nan,
        "min": float(finite.min()) if n else math.nan,
        "max": float(finite.max()) if n else math.nan,
        "n": n,
        "undefined": len(values) - n,
    }


def check_summary(folder: Path) -> None:
    found = summary_of_run(folder)
    for phase in ("train", "val"):
        rows = rows_of(folder, phase)
        names = {name for row in rows for name in row} - {*KEYS, "phase", "ranks", "samples"}
        assert found["batches"][phase] == len(rows)
        assert set(found["summary"][phase]) == names
        for name in names:
            expected = by_definition(column(rows, name))
            said = {key: _nan(value) for key, value in found["summary"][phase][name].items()}
            assert said == pytest.approx(expected, rel=1e-12, nan_ok=True), name
        assert found["latest"][phase]["global_step"] == rows[-1]["global_step"]


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def check_batches(folder: Path, upto: int = 10**9) -> None:
    with RunReader(folder) as reader:
        found = read_batches(reader, upto, [])
    for phase in ("train", "val"):
        rows = rows_of(folder, phase, upto)
        part = found.phases[phase]
        assert part.batches == len(rows)
        loss, steps = column(rows, "loss"), column(rows, "phase_step")
        moments, expected = found.moments(phase, "loss"), by_definition(loss)
        assert (moments.n, moments.undefined) == (expected["n"], expected["undefined"])
        finite, at = loss[np.isfinite(loss)], steps[np.isfinite(loss)]
        trace = part.trace("loss")
        ends = (trace.first, trace.last, trace.low, trace.high)
        assert ends == (finite[0], finite[-1], finite.min(), finite.max())
        assert (trace.low_step, trace.high_step) == (at[finite.argmin()], at[finite.argmax()])
        sizes, spent = column(rows, "batch_size"), column(rows, "training_time_ms")
        both = np.isfinite(sizes) & np.isfinite(spent)
        assert part.tiles == np.nansum(sizes)
        assert part.timed_tiles == sizes[both].sum()
        assert part.step_ms == pytest.approx(spent[both].sum(), rel=1e-13)
        timing = part.timing("training_time_ms")
        known = spent[np.isfinite(spent)]
        expected_times = list(np.quantile(known, [0.5, 0.95])) if known.size else [math.nan] * 2
        np.testing.assert_equal([timing.median, timing.high], expected_times)
        for epoch in {row["epoch"] for row in rows}:
            own = [row for row in rows if row["epoch"] == epoch]
            means = found.of_epoch(phase, epoch)
            assert means["batches"] == len(own)
            mean = by_definition(column(own, "loss"))["mean"]
            assert means["loss"] == pytest.approx(mean, nan_ok=True)
    times = [row["timestamp"] for phase in ("train", "val") for row in rows_of(folder, phase, upto)]
    assert (found.first_at, found.last_at) == (min(times), max(times))


def test_a_summary_is_that_of_every_row(folder: Path) -> None:
    check_summary(folder)


@pytest.mark.parametrize("upto", [TRAINED + VALIDATED, TRAINED + 40, TRAINED + 1])
def test_a_report_says_what_every_row_says(folder: Path, upto: int) -> None:
    check_batches(folder, upto)


def test_the_last_epoch_is_compared_as_its_rows_are(folder: Path) -> None:
    side = read_side(folder)
    rows = [row for row in rows_of(folder, "val") if row["epoch"] == side.epoch]
    with RunReader(folder) as reader:
        trained = read_epoch(reader, "train", 2, 10**9)
    own = [row for row in rows_of(folder, "train") if row["epoch"] == 2]

    assert side.batches["val"].rows == len(rows) == 1
    for name in ("far", "loss", "rare"):
        expected = by_definition(column(own, name))
        moments = trained.moments[name]
        assert moments.n == expected["n"]
        assert [moments.mean, moments.sd] == pytest.approx([expected["mean"], expected["std"]])
    spent = column(own, "training_time_ms")
    timing = trained.timings["training_time_ms"]
    assert timing.median == np.median(spent[np.isfinite(spent)])


def test_rows_of_a_whole_stretch_are_not_read(copied: Path) -> None:
    expected = summary_of_run(copied)
    connection = sqlite3.connect(run_database(copied))
    connection.execute(
        "UPDATE batches SET metrics = x'' WHERE phase = 'train' AND ordinal <= ?", (2 * ROWS,)
    )
    connection.commit()
    connection.close()
    assert summary_of_run(copied) == expected


def test_a_run_without_stretches_says_the_same(copied: Path) -> None:
    with_them = summary_of_run(copied)
    as_schema_3(copied)
    assert summary_of_run(copied) == with_them
    check_batches(copied)


def test_who_writes_on_a_run_without_stretches_makes_them_from_there_on(copied: Path) -> None:
    as_schema_3(copied)
    run = RunWriter(copied, incarnation=2, resumed_from_step=2000)
    with run.store.transaction():
        add(run, 2001, TRAINED)
        add(run, 2001, TRAINED, phase="val", epoch=1)
    query = "SELECT phase, stretch FROM stretches ORDER BY phase, stretch"
    stored = run.store.connection.execute(query).fetchall()
    version = run.store.connection.execute("PRAGMA user_version").fetchone()
    run.close()

    assert version == (4,)
    assert stored == [("train", 1)]  # the first one was complete before
    check_batches(copied)
    check_summary(copied)


def test_rows_that_are_taken_back_leave_nothing(copied: Path) -> None:
    run = RunWriter(copied, incarnation=2, resumed_from_step=1500)
    query = "SELECT phase, stretch FROM stretches ORDER BY phase, stretch"
    kept = run.store.connection.execute(query).fetchall()
    with run.store.transaction():
        add(run, 1501, 2050)
    run.close()

    assert kept == [("train", 0)]  # of validation 300 rows are left
    check_batches(copied)
    check_summary(copied)


def test_a_stretch_is_the_same_bytes_after_a_resume(folder: Path, copied: Path) -> None:
    run = RunWriter(copied, incarnation=2, resumed_from_step=1500)
    with run.store.transaction():
        add(run, 1501, TRAINED)
    query = "SELECT stretch, epochs, statistics, by_epoch, kept FROM stretches WHERE phase='train'"
    resumed = run.store.connection.execute(query).fetchall()
    run.close()
    with sqlite3.connect(run_database(folder)) as connection:
        assert connection.execute(query).fetchall() == resumed
    connection.close()


def test_a_run_of_schema_3_is_read_and_written_on(tmp_path: Path) -> None:
    """The file was written by the version before this table, with its own code."""
    folder = tmp_path / "auto_analysis_demo"
    folder.mkdir()
    run_database(folder).write_bytes(gzip.decompress(SCHEMA_3.read_bytes()))

    check_summary(folder)
    check_batches(folder)
    write_report(folder, 10**9)
    run = RunWriter(folder, incarnation=2, resumed_from_step=30)
    run.batch(31, epoch=3, batch_idx=0)
    run.close()
    rows = rows_of(folder, "train")
    assert [row["global_step"] for row in rows] == list(range(1, 32))
    check_summary(folder)
    check_batches(folder)


def test_a_run_of_schema_3_may_be_resumed_with_several_ranks(tmp_path: Path) -> None:
    folder = tmp_path / "auto_analysis_demo"
    folder.mkdir()
    run_database(folder).write_bytes(gzip.decompress(SCHEMA_3.read_bytes()))
    run = RunWriter(folder, incarnation=2, resumed_from_step=40, world_size=2)
    for rank in (0, 1):
        run.batch(41, epoch=4, batch_idx=0, framed=False, rank=rank, loss=1.0 + rank)
    (whole,) = run.store.connection.execute("PRAGMA integrity_check").fetchone()
    run.close()

    rows = rows_of(folder, "train")
    assert whole == "ok"
    assert [row["global_step"] for row in rows] == list(range(1, 42))
    assert rows[-1]["loss"] == 1.5
    check_summary(folder)
    check_batches(folder)


def test_readers_of_a_run_that_is_upgraded_meanwhile_go_on(copied: Path) -> None:
    as_schema_3(copied)
    with RunReader(copied) as reader:
        before = list(reader.stretches("train", upto=10**9))
        RunWriter(copied, incarnation=2, resumed_from_step=TRAINED).close()
        after = list(reader.stretches("train", upto=10**9))
    assert [each.rows for each in after] == [each.rows for each in before]
