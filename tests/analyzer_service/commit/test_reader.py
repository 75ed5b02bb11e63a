"""`RunReader` against numpy over rows that are known, and its behavior beside a writer."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer_service.commit.reader import RunReader, run_database
from analyzer_service.commit.released import Released
from analyzer_service.commit.run_rows import Source
from analyzer_service.commit.store import FoundFrame, Store
from shared.errors import ConfigurationError
from shared.messages import BatchMetrics
from tests.builders import make_batch, make_run_started

STARTED = make_run_started(analysis_freq=100)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def _release(store: Store, batches: list[BatchMetrics], *, incarnation: int = 1) -> Released:
    with store.transaction():
        started = STARTED.model_copy(update={"incarnation": incarnation})
        origin = store.add_producer(started)
        released = Released(store)
        for cseq, batch in enumerate(batches, start=2):
            # SSIM by hand: every third row has none, as if its frame had been dropped.
            part = {"ssim": batch.phase_step / 10_000} if batch.phase_step % 3 else None
            found = FoundFrame(1, "analyzed", "train", batch.phase_step, part) if part else None
            released.add_batch(Source(origin, cseq, started), batch, found)
    return released


def _frame_row(store: Store) -> None:
    with store.transaction():
        origin = store.add_producer(STARTED)
        store.connection.execute(
            "INSERT INTO frames (id, origin, stream, fseq, state) VALUES (1, ?, 'train', 1, 'x')",
            (origin,),
        )


def _losses(batches: list[BatchMetrics]) -> NDArray[np.float64]:
    return np.array([batch.loss for batch in batches], dtype=np.float64)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100, 1000, 1237])
@pytest.mark.parametrize("points", [10, 100])
def test_history_is_the_mean_of_buckets_of_equal_count(
    store: Store, count: int, points: int
) -> None:
    batches = [make_batch(number, frame=None) for number in range(1, 1301)]
    _frame_row(store)
    _release(store, batches)
    with RunReader(store.folder) as reader:
        history = reader.history(
            phase="train", upto=count, names=["loss", "ssim", "none"], points=points
        )
    size = 1
    while -(-count // size) > points:
        size *= 2
    losses = _losses(batches)[:count]
    steps = np.arange(1, count + 1)
    ssim = np.where(steps % 3 > 0, steps / 10_000, np.nan)
    pieces = [slice(at, at + size) for at in range(0, count, size)]
    assert len(history["loss"]) == len(pieces) <= points
    np.testing.assert_allclose(history["loss"], [losses[p].mean() for p in pieces], rtol=1e-12)
    np.testing.assert_allclose(
        history["global_step"], [steps[p].mean() for p in pieces], rtol=1e-12
    )
    expected = [np.nan if np.isnan(ssim[p]).all() else np.nanmean(ssim[p]) for p in pieces]
    np.testing.assert_allclose(history["ssim"], expected, rtol=1e-12)
    assert np.isnan(history["none"]).all()


def test_history_is_the_same_when_more_rows_have_come(store: Store) -> None:
    batches = [make_batch(number, frame=None) for number in range(1, 401)]
    _frame_row(store)
    _release(store, batches[:300])

    def history() -> dict[str, bytes]:
        with RunReader(store.folder) as reader:
            names = ["loss", "ssim", "memory_mb"]
            found = reader.history(phase="train", upto=290, names=names, points=9)
            return {name: column.tobytes() for name, column in found.items()}

    before = history()
    _release(store, batches[300:])
    assert history() == before


def test_history_of_nothing_is_empty(store: Store) -> None:
    _release(store, [])
    with RunReader(store.folder) as reader:
        history = reader.history(phase="val", upto=10, names=["loss"])
        assert {name: len(column) for name, column in history.items()} == {
            "global_step": 0,
            "loss": 0,
        }


def test_superseded_rows_leave_history_and_rows(store: Store) -> None:
    batches = [make_batch(number, frame=None) for number in range(1, 101)]
    _frame_row(store)
    released = _release(store, batches)
    with store.transaction():
        assert released.supersede(2, 41) == []
    again = [make_batch(number, frame=None, loss=7.0) for number in range(42, 81)]
    _release(store, again, incarnation=2)
    with RunReader(store.folder) as reader:
        rows = [row.values for row in reader.rows()]
        assert [row["global_step"] for row in rows] == list(range(1, 81))
        history = reader.history(phase="train", upto=139, names=["loss"], points=10)
        losses = np.concatenate([_losses(batches)[:41], np.full(39, 7.0)])
        expected = losses.reshape(10, 8).mean(axis=1)
        np.testing.assert_allclose(history["loss"], expected, rtol=1e-12)
        assert reader.row(100).values["global_step"] == 100
        with pytest.raises(KeyError, match="row 140"):
            reader.row(140)


def test_ranks_that_are_superseded_between_kept_rows_are_summed_again(store: Store) -> None:
    # Two ranks interleaved: rank 1 lags, so rows beyond step 10 are no tail.
    steps = [*range(1, 21), *range(1, 21)]
    ranks = [0] * 20 + [1] * 20
    batches = [
        make_batch(step, frame=None, rank=rank, loss=float(step + 100 * rank))
        for step, rank in zip(steps, ranks, strict=True)
    ]
    _frame_row(store)
    released = _release(store, batches)
    with store.transaction():
        released.supersede(2, 10)
    with RunReader(store.folder) as reader:
        kept = [row.values["loss"] for row in reader.rows()]
        history = reader.history(phase="train", upto=40, names=["loss"], points=3)
    assert kept == [*map(float, range(1, 11)), *map(float, range(101, 111))]
    expected = [np.mean(kept[at : at + 8]) for at in (0, 8, 16)]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-12)


def test_rows_are_paged_and_filtered(store: Store) -> None:
    batches = [make_batch(number, frame=None) for number in range(1, 1101)]
    _frame_row(store)
    _release(store, batches)
    with RunReader(store.folder) as reader:
        releases = [row.release for row in reader.rows(after=10, upto=1090)]
        assert releases == list(range(11, 1091))
        assert [row.values["batch_idx"] for row in reader.rows(epoch=3)] == list(range(10))
        assert list(reader.rows(phase="val")) == []
        row = reader.row(5).values
    assert row["phase"] == "train"
    assert (type(row["epoch"]), type(row["timestamp"])) == (int, float)
    assert row["loss"] == batches[4].loss


def test_a_reader_sees_each_commit_and_cannot_write(store: Store) -> None:
    _frame_row(store)
    with RunReader(store.folder) as reader:
        _release(store, [make_batch(1, frame=None)])
        assert reader.state().released == 1
        assert reader.state().status == "running"
        _release(store, [make_batch(2, frame=None)])
        assert reader.state().released == 2
        with pytest.raises(Exception, match="readonly"):
            reader._connection.execute("DELETE FROM batches")


def test_infinity_and_nan_are_kept(store: Store) -> None:
    _frame_row(store)
    batch = make_batch(1, frame=None, loss=float("inf"), mse=float("nan"), data_time_ms=None)
    _release(store, [batch])
    with RunReader(store.folder) as reader:
        row = reader.row(1).values
    assert row["loss"] == float("inf")
    assert np.isnan([row["mse"], row["data_time_ms"]]).all()


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no run.*metrics\.sqlite"):
        RunReader(tmp_path)


def test_a_folder_of_runs_names_them(tmp_path: Path) -> None:
    for name in "gfedcba":
        (tmp_path / f"auto_analysis_{name}").mkdir()
        run_database(tmp_path / f"auto_analysis_{name}").touch()
    with pytest.raises(ConfigurationError, match=r"give one: auto_analysis_a, .*_e and 2 more$"):
        RunReader(tmp_path)


def test_what_is_no_folder_is_said_to_be_none(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        RunReader(tmp_path / "absent")
    with pytest.raises(ConfigurationError, match="it is a file, give the run's folder"):
        RunReader(run_database(store.folder))


def test_a_database_whose_making_was_cut_short_is_no_run(tmp_path: Path) -> None:
    run_database(tmp_path).touch()  # what SQLite leaves when it is killed before the tables
    with pytest.raises(ConfigurationError, match="being made"):
        RunReader(tmp_path)


def test_another_versions_database_is_refused(store: Store) -> None:
    store.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigurationError, match="schema 99"):
        RunReader(store.folder)
    assert run_database(store.folder).name == "metrics.sqlite"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    run_database(tmp_path).write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigurationError, match="not readable"):
        RunReader(tmp_path)


def test_a_database_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    run_database(tmp_path).mkdir()
    with pytest.raises(ConfigurationError, match=r"metrics\.sqlite cannot be written"):
        Store(tmp_path)
