"""Exports against pandas, beside a writer, with text and numbers that are hard to write."""

import json
import math
import sys
import tracemalloc
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from analyzer_service.export import export_run
from analyzer_service.export import files as export_files
from analyzer_service.results_cli import export
from analyzer_service.sinks.json_files import write_final
from shared.errors import ConfigurationError, SinkError
from tests.analyzer_service.sinks.runs import RunWriter, repeat_rows, write_run
from tests.builders import make_samples


def load(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        return pd.read_csv(path, engine="python")
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.DataFrame(json.loads(path.read_text("utf-8")))


@pytest.fixture(params=["csv", "parquet", "json"])
def to(request: pytest.FixtureRequest) -> str:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return str(request.param)


@pytest.fixture
def run(tmp_path: Path) -> RunWriter:
    written = write_run(tmp_path / "auto_analysis_demo")
    written.batch(21, epoch=2, batch_idx=0, loss=math.nan, memory_mb=None)
    written.batch(22, epoch=2, batch_idx=1, framed=False)
    written.close()
    return written


def test_batches_are_those_of_the_final_file(run: RunWriter, to: str) -> None:
    path, rows = export_run(run.folder, to)

    expected = json.loads(write_final(run.folder, run.release).read_text("utf-8"))["batch_metrics"]
    assert (path.name, rows) == (f"batch_metrics.{to}", len(expected))
    found, frame = load(path), pd.DataFrame(expected)
    assert sorted(found.columns) == sorted(frame.columns)
    assert list(found.columns)[:3] == ["phase", "epoch", "batch_idx"]
    # Every bit is kept: no tolerance.
    pd.testing.assert_frame_equal(found[frame.columns], frame, check_dtype=False, rtol=0, atol=0)
    assert set(found["phase"]) == {"train", "val"}


def test_the_rows_of_several_ranks_are_those_of_the_final_file(tmp_path: Path, to: str) -> None:
    run = RunWriter(tmp_path / "auto_analysis_demo", world_size=2)
    for step, rank in product(range(1, 6), range(2)):
        run.batch(step, rank=rank, framed=rank == 0, batch_size=4)
    run.close()
    final = json.loads(write_final(run.folder, run.release).read_text("utf-8"))
    for what, rows in (("batch", 5), ("rank", 10)):
        path, count = export_run(run.folder, to, what=what)
        assert (path.name, count) == (f"{what}_metrics.{to}", rows)
        found, frame = load(path), pd.DataFrame(final[f"{what}_metrics"])
        assert sorted(found.columns) == sorted(frame.columns)
        pd.testing.assert_frame_equal(
            found[frame.columns], frame, check_dtype=False, rtol=0, atol=0
        )


def test_tiles_and_ranks_at_once_are_refused(run: RunWriter) -> None:
    with pytest.raises(ConfigurationError, match="--tiles and --ranks"):
        export(run.folder, "csv", tiles=True, ranks=True)


def test_undefined_is_missing_and_whole_numbers_are_whole(run: RunWriter, to: str) -> None:
    path, _ = export_run(run.folder, to)

    found = load(path)
    last = found[found["phase"] == "train"].tail(2)
    assert last["loss"].isna().tolist() == [True, False]
    assert last["ssim"].isna().tolist() == [False, True]
    for name in ("epoch", "batch_idx", "global_step", "phase_step", "rank", "samples"):
        assert pd.api.types.is_integer_dtype(found[name]), name


def test_tiles_name_their_batch_and_their_place(run: RunWriter, to: str) -> None:
    path, rows = export_run(run.folder, to, what="tile")

    found = load(path)
    assert (path.name, len(found)) == (f"tile_metrics.{to}", rows)
    assert rows == 2 * (20 + 4 + 1)  # two tiles each batch that has a frame
    second = make_samples(2, first=2)[1]  # of the first batch
    row = found.iloc[1]
    assert (row["phase"], row["phase_step"], row["epoch"]) == ("train", 1, 0)
    assert (row["tile"], row["source"]) == (second.id, second.source)
    assert second.slide is None
    assert found["slide"].isna().all()
    assert (row["row"], row["col"], row["mpp"]) == (second.row, second.col, second.mpp)
    assert row["ssim"] == 1 - math.exp(-0.1) / 2 - 0.01


def test_hard_text_comes_back_as_it_was(tmp_path: Path, to: str) -> None:
    name = 'x,"é"\n=1+1'
    run = RunWriter(tmp_path / "auto_analysis_demo")
    run.batch(1, scalars={name: 0.1 + 0.2})
    run.close()

    found = load(export_run(run.folder, to)[0])

    assert found[name].tolist() == [0.1 + 0.2]


def test_a_column_that_comes_late_is_empty_before(tmp_path: Path, to: str) -> None:
    run = RunWriter(tmp_path / "auto_analysis_demo")
    run.batch(1, framed=False)
    run.batch(2, scalars={"late": 3.0})
    run.close()

    found = load(export_run(run.folder, to)[0])

    assert found["late"].isna().tolist() == [True, False]
    assert found["late"].tolist()[1] == 3.0


def test_a_run_without_rows_gives_a_table_without_rows(tmp_path: Path, to: str) -> None:
    run = RunWriter(tmp_path / "auto_analysis_demo")
    run.close()

    path, rows = export_run(run.folder, to, out=tmp_path / f"none.{to}")

    assert rows == 0
    assert len(load(path)) == 0


def test_superseded_rows_are_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "auto_analysis_demo", epochs=1)
    run.start(incarnation=2, resumed_from_step=5)
    run.close()

    path, rows = export_run(run.folder, "csv")

    assert rows == 5
    assert load(path)["global_step"].tolist() == [1, 2, 3, 4, 5]


def test_a_run_that_is_being_written_is_exported_as_far_as_it_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "auto_analysis_demo", epochs=1)
    with run.store.transaction():  # not committed yet: an export neither waits nor sees it
        run.store.put(status="finished")
        assert export_run(run.folder, "csv")[1] == 12
    run.close()


def test_unknown_format_and_missing_run_are_named(run: RunWriter, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--to xlsx: choose one of csv, parquet, json"):
        export_run(run.folder, "xlsx")
    with pytest.raises(ConfigurationError, match="holds no run"):
        export_run(tmp_path, "csv")


def test_what_the_run_wrote_itself_is_not_written_over(run: RunWriter, tmp_path: Path) -> None:
    final = write_final(run.folder, run.release)
    before = final.read_bytes()
    for name in ("metrics.sqlite", "final_training_metrics.json"):
        with pytest.raises(ConfigurationError, match="the run's own"):
            export_run(run.folder, "csv", out=run.folder / name)
    assert final.read_bytes() == before
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text("old")
    for path in (run.folder / "mine.csv", elsewhere, run.folder / "batch_metrics.csv"):
        assert export_run(run.folder, "csv", out=path)[1] == 26
    assert len(load(elsewhere)) == 26


def test_without_pyarrow_the_way_to_it_is_said(
    run: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyzer_service.export.parquet.find_spec", lambda _: None)

    with pytest.raises(ConfigurationError, match=r"pip install 'sidelight\[export\]'"):
        export_run(run.folder, "parquet")
    assert not list(run.folder.glob("*parquet*"))


def test_csv_and_json_need_no_pyarrow(run: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert [export_run(run.folder, to)[1] for to in ("csv", "json")] == [26, 26]


def test_after_an_error_the_old_file_stays(run: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = export_run(run.folder, "csv")
    before = path.read_bytes()

    def fail(table: object, path: Path) -> int:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(export_files.FORMATS, "csv", fail)
    with pytest.raises(SinkError, match="No space left"):
        export_run(run.folder, "csv")
    assert path.read_bytes() == before
    assert not list(run.folder.glob(".*.tmp"))


@pytest.mark.parametrize("to", ["csv", "json"])
def test_memory_does_not_grow_with_the_run(tmp_path: Path, to: str) -> None:
    run = RunWriter(tmp_path / "auto_analysis_demo")
    run.store.connection.execute("PRAGMA synchronous = OFF")
    for number in range(1, 501):
        run.batch(number, epoch=0, batch_idx=number - 1, framed=False)
    small = _peak(run.folder, to)
    repeat_rows(run, times=20)
    run.close()

    assert _peak(run.folder, to) < small + 1_000_000
    assert export_run(run.folder, to)[1] == 10_000


def _peak(folder: Path, to: str) -> int:
    tracemalloc.start()
    try:
        export_run(folder, to)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
