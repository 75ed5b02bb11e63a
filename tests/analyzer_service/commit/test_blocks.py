"""Tiles as matrices: the same values, in the same order, as one by one."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_service.commit.blocks import Block
from analyzer_service.commit.reader import RunReader
from tests.analyzer_service.sinks.runs import RunWriter, write_run

PHASES = ("train", "val")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunWriter]:
    written = write_run(tmp_path / "auto_analysis_demo")
    written.batch(21, epoch=2, batch_idx=0, framed=False)
    written.batch(22, epoch=2, batch_idx=1, scalars={"own": math.inf}, loss=math.nan)
    written.start(incarnation=2, resumed_from_step=21)
    written.batch(22, epoch=2, batch_idx=1)
    written.batch(23, epoch=2, batch_idx=2, framed=False)
    yield written
    written.close()


@pytest.mark.parametrize("upto", [0, 7, 1000])
def test_tile_blocks_are_the_tiles(run: RunWriter, upto: int) -> None:
    with RunReader(run.folder) as reader:
        tiles = [(t.phase, t.epoch, t.sample.id, t.values) for t in reader.sample_values(upto=upto)]
        found = [
            (block.rows.phase, block.epoch, sample["id"], named)
            for block in reader.tile_blocks(upto=upto)
            for sample, named in zip(block.samples, named_rows(block.rows), strict=True)
        ]

    for phase in PHASES:  # in each of which the order is that of the rows
        expected = [tile for tile in tiles if tile[0] == phase]
        np.testing.assert_equal([tile for tile in found if tile[0] == phase], expected)


def test_a_column_that_is_not_there_is_undefined() -> None:
    block = Block("train", ("a", "b"), np.array([[1.0, 2.0], [3.0, np.nan]]))

    assert len(block) == 2
    assert np.isnan(block.column("none")).all()
    assert block.column("a").tolist() == [1.0, 3.0]
    np.testing.assert_equal(block.columns(["none", "b"]), [[np.nan, 2.0], [np.nan, np.nan]])


def named_rows(block: Block) -> list[dict[str, Any]]:
    return [dict(zip(block.names, row, strict=True)) for row in block.values.tolist()]


def test_tiles_of_a_few_frames_among_many_rows(tmp_path: Path) -> None:
    """They are found from the frames then, and counts from a few rows."""
    run = RunWriter(tmp_path / "auto_analysis_demo")
    for step in range(1, 101):
        run.batch(step, epoch=step // 50, batch_idx=step, framed=step in (3, 60, 98))
    with RunReader(run.folder) as reader:
        for upto in (2, 3, 97, 98, 1000):
            found = [s["id"] for block in reader.tile_blocks(upto=upto) for s in block.samples]
            assert found == [tile.sample.id for tile in reader.sample_values(upto=upto)]
        assert [reader.count("train", upto=n) for n in (0, 1, 57, 100, 1000)] == [
            0,
            1,
            57,
            100,
            100,
        ]
        assert reader.count("val", upto=1000) == 0
        assert reader.names("batches", upto=100, prefix="own_") == []
        assert "loss" in reader.names("batches", upto=100, prefix="lo")
    run.close()
