"""Tiles say where they come from, and their number alone decides them."""

import numpy as np
import pytest
import torch

from tests.trainer.data.builders import numbered
from trainer.data.source import ArraySource
from trainer.data.split import Region
from trainer.data.tiles import EpochSampler, FixedTiles, RandomTiles, collate, to_tensor


def make_tiles(seed=0):
    source = ArraySource("slides/a.png", numbered(200, 240)[None], slide="slides", mpp=0.5)
    corners = np.array([[0, 10, 20], [0, 100, 60]])
    regions = [Region(0, 10, 20, 180, 150)]
    return RandomTiles([source], regions, corners, tile_size=32, seed=seed)


def test_fixed_tiles_name_their_place():
    source = ArraySource("slides/a.png", numbered(200, 240)[None], slide="slides", mpp=0.5)
    tile = FixedTiles([source], np.array([[0, 7, 9]]), 16)[0]
    assert tile["id"] == "slides/a.png:7:9"
    assert (tile["source"], tile["slide"], tile["mpp"]) == ("slides/a.png", "slides", 0.5)
    assert (tile["row"], tile["col"]) == (7, 9)
    assert tile["image"].shape == (3, 16, 16)
    assert torch.allclose(tile["image"][0, :, 0] * 255, torch.arange(7.0, 23.0))
    assert torch.allclose(tile["image"][1, 0] * 255, torch.arange(9.0, 25.0))


def test_random_tiles_show_the_place_that_they_name():
    for index in range(100):
        tile = make_tiles()[index]
        rows = (tile["image"][0] * 255).round().int()
        cols = (tile["image"][1] * 255).round().int()
        assert rows.unique().tolist() == list(range(tile["row"], tile["row"] + 32))
        assert cols.unique().tolist() == list(range(tile["col"], tile["col"] + 32))


def test_random_tiles_never_leave_their_region():
    places = [(tile["row"], tile["col"]) for tile in map(make_tiles().__getitem__, range(400))]
    rows, cols = map(np.array, zip(*places, strict=True))
    assert rows.min() == 10
    assert rows.max() == 116
    assert cols.min() == 20
    assert cols.max() == 76


def test_the_number_and_the_seed_decide_a_tile():
    first, again, other = make_tiles(seed=1), make_tiles(seed=1), make_tiles(seed=2)
    assert torch.equal(first[17]["image"], again[17]["image"])
    assert [first[i]["id"] for i in range(9)] != [other[i]["id"] for i in range(9)]


def test_all_eight_orientations_come_up():
    corners = {
        tuple((tile["image"][:2, [0, 0, -1], [0, -1, 0]] * 255).round().int().flatten().tolist())
        for tile in (
            RandomTiles(
                [ArraySource("a", numbered(32, 32)[None])],
                [Region(0, 0, 0, 32, 32)],
                np.array([[0, 0, 0]]),
                tile_size=32,
                seed=0,
            )[i]
            for i in range(100)
        )
    }
    assert len(corners) == 8


def test_each_epoch_has_its_own_numbers():
    sampler = EpochSampler(3)
    assert list(sampler) == [0, 1, 2]
    sampler.set_epoch(4)
    assert list(sampler) == [12, 13, 14]


def test_batches_hold_columns():
    batch = collate([make_tiles()[0], make_tiles()[1]])
    assert batch["image"].shape == (2, 3, 32, 32)
    assert [len(batch[name]) for name in ("id", "source", "slide", "row", "col", "mpp")] == [2] * 6


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_tensors_are_in_zero_to_one(value):
    tensor = to_tensor(np.full((4, 4, 3), value, np.uint8))
    assert tensor.dtype == torch.float32
    assert tensor.unique().item() == pytest.approx(value / 255)
