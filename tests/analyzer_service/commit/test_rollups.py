"""Buckets of rows against brute force by numpy over the same rows."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.rollup_views import lowest_level
from analyzer_service.commit.run_rows import Source
from analyzer_service.commit.store import Store
from tests.analyzer_service.sinks.runs import RunWriter
from tests.builders import make_batch

Floats = NDArray[np.float64]


def _write(folder: Path, losses: Floats) -> None:
    run = RunWriter(folder)
    run.store.connection.execute("PRAGMA synchronous = OFF")
    with run.store.transaction():
        _add(run, losses)
    run.close()


def _add(run: RunWriter, losses: Floats, *, first: int = 1) -> None:
    for number, loss in enumerate(losses.tolist(), start=first):
        # Each third row has a scalar that the others lack, so name lists differ in a bucket.
        scalars = {"extra": float(number)} if number % 3 == 0 else {}
        batch = make_batch(number, frame=None, loss=loss, scalars=scalars)
        run.cseq += 1
        run.released.add_batch(Source(run.origin, run.cseq, run.started), batch, None)


def _brute(values: Floats, size: int) -> tuple[Floats, Floats, Floats]:
    """Mean, least and largest of the finite values of each `size` rows, by the definition."""
    found = []
    for at in range(0, len(values), size):
        part = values[at : at + size]
        part = part[np.isfinite(part)]
        found.append((part.mean(), part.min(), part.max()) if part.size else (math.nan,) * 3)
    means, lows, highs = np.array(found).T
    return means, lows, highs


def _losses(rows: int) -> Floats:
    losses = np.random.default_rng(7).normal(size=rows)
    losses[20:40] = np.nan
    losses[100] = np.inf
    losses[101] = -np.inf
    losses[104:112] = np.inf
    losses[500] = 1e6
    return losses


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 1,237 rows with holes, infinities, and one outlier."""
    made: Path = tmp_path_factory.mktemp("rollups")
    _write(made, _losses(1237))
    return made


@pytest.mark.parametrize("level", [1, 2, 3, 4, 7, 10, 11])
@pytest.mark.parametrize("rows", [1237, 1024, 1001, 513, 9, 1, 0])
def test_buckets_are_those_of_brute_force(folder: Path, level: int, rows: int) -> None:
    with RunReader(folder) as reader:
        found = reader.rollups("train", ["loss", "none"], rows=rows).read(level, 0, rows)
    means, lows, highs = _brute(_losses(1237)[:rows], 1 << level) if rows else [np.zeros(0)] * 3
    np.testing.assert_allclose(found.means[:, 0], means, rtol=1e-12)
    np.testing.assert_array_equal(found.lows[:, 0], lows)
    np.testing.assert_array_equal(found.highs[:, 0], highs)
    assert np.isnan(found.means[:, 1]).all()
    assert np.isnan(found.highs[:, 1]).all()


def test_rows_themselves_are_exact_infinity_and_nan_as_they_are(folder: Path) -> None:
    with RunReader(folder) as reader:
        found = reader.rollups("train", ["loss"]).read(0, 0, 10**9)
    np.testing.assert_array_equal(found.means[:, 0], _losses(1237))


def test_an_outlier_is_seen_however_many_rows_a_bucket_has(folder: Path) -> None:
    with RunReader(folder) as reader:
        found = reader.rollups("train", ["loss"]).read(10, 0, 10)
    assert found.highs[0, 0] == 1e6
    assert np.isfinite(found.means).all()


def test_a_tail_is_the_end_of_the_whole(folder: Path) -> None:
    with RunReader(folder) as reader:
        rollups = reader.rollups("train", ["loss", "extra", "global_step"])
        whole, tail = rollups.read(4, 0, 100), rollups.read(4, 70, 100)
    np.testing.assert_array_equal(tail.means, whole.means[70:])
    np.testing.assert_array_equal(tail.lows, whole.lows[70:])


def test_names_that_some_rows_lack_count_where_they_are(folder: Path) -> None:
    extra = np.where(np.arange(1, 1238) % 3 == 0, np.arange(1, 1238.0), np.nan)
    with RunReader(folder) as reader:
        found = reader.rollups("train", ["extra"]).read(5, 0, 100)
    means, lows, highs = _brute(extra, 32)
    np.testing.assert_allclose(found.means[:, 0], means, rtol=1e-12)
    np.testing.assert_array_equal(found.lows[:, 0], lows)
    np.testing.assert_array_equal(found.highs[:, 0], highs)


def test_a_bucket_is_the_same_bytes_after_a_resume_that_replays_its_rows(tmp_path: Path) -> None:
    losses = _losses(700)
    _write(tmp_path / "straight", losses)
    run = RunWriter(tmp_path / "resumed")
    with run.store.transaction():
        _add(run, losses)
    run.start(incarnation=2, resumed_from_step=333)
    with run.store.transaction():
        _add(run, losses[333:], first=334)
    run.close()
    query = (
        "SELECT level, bucket, sums, counts, lows, highs FROM rollups ORDER BY phase, level, bucket"
    )
    kept = []
    for name in ("straight", "resumed"):
        store = Store(tmp_path / name)
        kept.append(store.connection.execute(query).fetchall())
        store.close()
    # Times differ between the two; what is summed of the losses must not.
    losses_at = 7
    assert [row[:2] for row in kept[0]] == [row[:2] for row in kept[1]]
    for straight, resumed in zip(*kept, strict=True):
        for one, other in zip(straight[2:], resumed[2:], strict=True):
            values = np.frombuffer(one), np.frombuffer(other)
            assert values[0][losses_at].tobytes() == values[1][losses_at].tobytes()


def test_the_largest_numbers_do_not_stop_the_writer(tmp_path: Path) -> None:
    losses = np.full(16, 1.7e308)
    _write(tmp_path / "a", losses)
    with RunReader(tmp_path / "a") as reader:
        found = reader.rollups("train", ["loss"]).read(3, 0, 2)
    np.testing.assert_array_equal(found.highs[:, 0], [1.7e308, 1.7e308])


def test_steps_are_found_in_the_rows(folder: Path) -> None:
    with RunReader(folder) as reader:
        rollups = reader.rollups("train", [])
        places = [rollups.before(step) for step in (-5, 1, 2, 600.5, 1237, 1238, 1e9)]
    assert places == [0, 0, 1, 600, 1236, 1237, 1237]


@given(rows=st.integers(0, 10**7), points=st.integers(1, 4096))
@settings(max_examples=200)
def test_the_level_is_the_finest_that_fits(rows: int, points: int) -> None:
    level = lowest_level(rows, points)
    assert math.ceil(rows / 2**level) <= points
    assert level == 0 or math.ceil(rows / 2 ** (level - 1)) > points


def _validated(folder: Path, passes: list[int]) -> tuple[Floats, Floats]:
    """A run of as many validation batches in each pass; their steps and losses."""
    steps = np.repeat(1000.0 * np.arange(1, len(passes) + 1), passes)
    losses = np.random.default_rng(3).normal(size=len(steps)) + steps
    run = RunWriter(folder)
    run.store.connection.execute("PRAGMA synchronous = OFF")
    with run.store.transaction():
        for number, (step, loss) in enumerate(zip(steps, losses, strict=True), start=1):
            keys = {"global_step": int(step), "epoch": int(step) // 1000 - 1}
            batch = make_batch(number, phase="val", frame=None, loss=loss, **keys)
            run.cseq += 1
            run.released.add_batch(Source(run.origin, run.cseq, run.started), batch, None)
    run.close()
    return steps, losses


PASSES = [13, 1, 100, 8, 64, 37, 200, 5]


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Floats, Floats]:
    folder = tmp_path_factory.mktemp("validated")
    return folder, *_validated(folder, PASSES)


def test_passes_of_validation_are_found(validated: tuple[Path, Floats, Floats]) -> None:
    ends = np.cumsum(PASSES).tolist()
    with RunReader(validated[0]) as reader:
        rollups = reader.rollups("val", [])
        assert rollups.passes(8) == list(zip([0, *ends[:-1]], ends, strict=True))
        assert rollups.passes(7) is None
        assert reader.rollups("train", []).passes(8) == []


@pytest.mark.parametrize("points", [400, 100, 60, 36])
def test_a_bucket_of_validation_is_of_one_pass(
    validated: tuple[Path, Floats, Floats], points: int
) -> None:
    folder, steps, losses = validated
    with RunReader(folder) as reader:
        found = reader.history(phase="val", upto=10**9, names=["loss"], points=points)

    assert len(found["loss"]) <= points
    assert set(found["global_step"]) == set(steps)
    for step in set(steps):
        own, means = losses[steps == step], found["loss"][found["global_step"] == step]
        assert own.min() <= means.min() <= means.max() <= own.max()
    # A pass of which all is in one bucket has its mean, by the definition.
    single = [step for step in set(steps) if (found["global_step"] == step).sum() == 1]
    assert single
    for step in single:
        mean = losses[steps == step].mean()
        assert found["loss"][found["global_step"] == step] == pytest.approx([mean], rel=1e-12)


@pytest.mark.parametrize("level", [1, 3, 4, 6])
@pytest.mark.parametrize(("first", "last"), [(0, 428), (13, 14), (17, 19), (14, 114), (9, 200)])
def test_buckets_within_a_range_hold_each_of_its_rows_once(
    validated: tuple[Path, Floats, Floats], level: int, first: int, last: int
) -> None:
    folder, _, losses = validated
    with RunReader(folder) as reader:
        found = reader.rollups("val", ["loss"]).within(level, first, last)[:, 0]
    size, own = 1 << level, losses[first:last]
    # Below the lowest level that is stored buckets begin with the range, above at multiples.
    edges = (
        np.arange(first, last, size)
        if level < 3
        else np.arange(-(-first // size) * size, last, size)
    )
    edges = [int(edge) for edge in edges if first < edge < last]
    if level >= 3 and last // size * size <= -(-first // size) * size:
        edges = []  # no whole one in it
    expected = [part.mean() for part in np.split(own, [edge - first for edge in edges])]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_many_passes_are_read_as_they_are_stored(validated: tuple[Path, Floats, Floats]) -> None:
    with RunReader(validated[0]) as reader:
        found = reader.history(phase="val", upto=10**9, names=["loss"], points=24)
        stored = reader.rollups("val", ["loss"]).read(5, 0, 100).means[:, 0]
    np.testing.assert_array_equal(found["loss"], stored)
