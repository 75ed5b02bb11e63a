"""What a run trains and validates on, for each kind of data."""

from itertools import zip_longest
from types import SimpleNamespace

import numpy as np
import pytest

from shared.errors import ConfigurationError
from tests.trainer.data.builders import DAB, TISSUE, make_folder, save, stained, white
from trainer.data.datamodule import TissueTiles
from trainer.data.tiles import DealtBatches, EpochSampler


def covered(loader):
    """Places (source, row, col) of all tiles of one epoch."""
    return [
        place
        for batch in loader
        for place in zip(batch["source"], batch["row"], batch["col"], strict=True)
    ]


def overlap(first, second, size):
    return (
        first[0] == second[0]
        and abs(first[1] - second[1]) < size
        and abs(first[2] - second[2]) < size
    )


def assert_disjoint(data):
    size = data.facts.tile_size
    train, val = covered(data.train_dataloader()), set(covered(data.val_dataloader()))
    assert not any(overlap(a, b, size) for a in set(train) for b in val)


def test_the_default_validates_in_five_batches_on_pixels_it_never_trains_on():
    data = TissueTiles()
    assert len(data.val_dataloader()) >= 5
    assert (data.facts.tile_size, data.facts.stain, data.facts.mpp) == (128, "ihc", None)
    assert_disjoint(data)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8, 16, 100])
def test_any_batch_size_leaves_five_validation_batches(batch_size):
    data = TissueTiles(batch_size=batch_size)
    assert len(data.val_dataloader()) >= 5
    assert len(data.train_dataloader()) == max(640, batch_size) // batch_size


def test_validation_tiles_are_the_same_each_time():
    data = TissueTiles(batch_size=4)
    first, second = covered(data.val_dataloader()), covered(data.val_dataloader())
    assert first == second
    assert len(set(first)) == len(first)


def test_training_tiles_do_not_hang_on_workers(tmp_path):
    folder = str(make_folder(tmp_path, 6))
    alone = TissueTiles(folder, tile_size=64, batch_size=64, num_workers=0)
    helped = TissueTiles(folder, tile_size=64, batch_size=64, num_workers=2)
    loader = helped.train_dataloader()
    assert loader.num_workers >= 1
    assert covered(loader) == covered(alone.train_dataloader())


def test_images_smaller_than_the_default_tile_set_the_size(tmp_path):
    stack = np.stack([stained(28, 28, seed=i) for i in range(12)])
    np.savez(tmp_path / "x.npz", train_images=stack, val_images=stack)
    data = TissueTiles(str(tmp_path / "x.npz"))
    assert data.facts.tile_size == 24
    assert len(data.val_dataloader()) >= 5


@pytest.mark.parametrize("tile_size", [0, -8, 8, 100, 2056])
def test_bad_tile_sizes_are_refused(tile_size):
    with pytest.raises(ConfigurationError, match="multiple of 8 from 16 to 2048"):
        TissueTiles(tile_size=tile_size)


def test_a_tile_larger_than_all_images_is_refused(tmp_path):
    make_folder(tmp_path, 3)
    with pytest.raises(ConfigurationError, match="smaller than a tile of 256"):
        TissueTiles(str(tmp_path), tile_size=256)


def test_empty_tiles_of_large_images_are_left_out(tmp_path):
    image = white(512, 1024)
    image[:256] = stained(256, 1024)
    save(tmp_path / "large.png", image)
    data = TissueTiles(str(tmp_path), tile_size=64)
    assert {row // 64 for _, row, _ in covered(data.val_dataloader())} == {0, 1, 2, 3}
    assert_disjoint(data)


def test_stain_is_decided_by_color_unless_it_is_given(tmp_path):
    folder = str(make_folder(tmp_path, 6, stains=(DAB,)))
    assert TissueTiles(folder).facts.stain == "ihc"
    assert TissueTiles(folder, stain="he").facts.stain == "he"
    assert TissueTiles(folder, mpp=0.25).facts.mpp == 0.25
    with pytest.raises(ConfigurationError, match="he, ihc or auto"):
        TissueTiles(folder, stain="trichrome")


@pytest.mark.skipif(not TISSUE.exists(), reason="real tissue is not here")
@pytest.mark.parametrize(
    ("name", "stain", "mpp"),
    [
        ("CMU-1-Small-Region.svs", "he", 0.499),
        ("os2_ki67_40x", "ihc", None),
        ("nct_crc_he_20x", "he", None),
    ],
)
def test_real_tissue(name, stain, mpp):
    if name.endswith("svs"):
        pytest.importorskip("openslide")
    data = TissueTiles(str(TISSUE / name), num_workers=0, batch_size=16)
    assert (data.facts.stain, data.facts.mpp) == (stain, mpp)
    assert len(data.val_dataloader()) >= 5
    assert_disjoint(data)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_ranks_train_on_tiles_of_their_own_and_validate_all_between_them(ranks):
    alone = TissueTiles(batch_size=4)
    every = covered(alone.val_dataloader())
    parts = [TissueTiles(batch_size=4, ranks=ranks) for _ in range(ranks)]
    for rank, data in enumerate(parts):
        data.trainer = SimpleNamespace(global_rank=rank)
    assert {len(data.train_dataloader()) for data in parts} == {640 // ranks // 4}
    numbers = [list(data.train_dataloader().sampler) for data in parts]
    together = [number for each in zip(*numbers, strict=True) for number in each]
    assert together == list(range(640 // ranks * ranks))
    assert len({len(data.val_dataloader()) for data in parts}) == 1, "they wait for each other"
    assert len(parts[0].val_dataloader()) >= min(5, len(every) // ranks)
    shares = [covered(data.val_dataloader()) for data in parts]
    dealt = [place for each in zip_longest(*shares) for place in each if place is not None]
    assert dealt == every, "each tile once: a mean over all is the mean of a single rank"


@pytest.mark.parametrize("ranks", [2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 7])
@pytest.mark.parametrize("length", [1, 2, 5, 8, 9, 10, 41])
def test_validation_tiles_are_dealt_out_in_equally_many_batches(length, batch_size, ranks):
    dealt = [DealtBatches(length, batch_size, rank=rank, ranks=ranks) for rank in range(ranks)]
    batches = [list(each) for each in dealt]
    assert {len(each) for each in batches} == {len(dealt[0])}
    assert all(batch for of_rank in batches for batch in of_rank)
    # Of one tile each there cannot be equally many where one rank has a tile more.
    most = batch_size + (batch_size == 1 and length % ranks > 0)
    assert max(len(batch) for of_rank in batches for batch in of_rank) <= most
    numbers = sorted(number for of_rank in batches for batch in of_rank for number in batch)
    assert sorted(set(numbers)) == list(range(length))
    assert len(numbers) == max(length, ranks), "one comes twice only where a rank would have none"


def test_each_epoch_of_each_rank_has_numbers_of_its_own():
    samplers = [EpochSampler(11, rank=rank, ranks=2) for rank in range(2)]
    seen = []
    for epoch in range(2):
        for sampler in samplers:
            sampler.set_epoch(epoch)
            seen.append(list(sampler))
    assert seen == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9], [11, 13, 15, 17, 19], [12, 14, 16, 18, 20]]
