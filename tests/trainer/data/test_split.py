"""No pixel trains and validates; what is held out is chosen by slide, file or region."""

import numpy as np
import pytest

from shared.errors import ConfigurationError
from tests.trainer.data.builders import TISSUE, make_folder, save, stained, white
from trainer.data.open import open_data
from trainer.data.source import ArraySource, Collection
from trainer.data.split import anchors, split
from trainer.data.tissue import tissue_map


def pixels_of(collection, regions):
    """A mask a source of the pixels that the regions cover."""
    masks = [np.zeros((s.height, s.width), bool) for s in collection.sources]
    for r in regions:
        masks[r.source][r.row : r.row + r.height, r.col : r.col + r.width] = True
    return masks


def assert_disjoint(collection, parts):
    train, val = (pixels_of(collection, regions) for regions in (parts.train, parts.val))
    assert not any((a & b).any() for a, b in zip(train, val, strict=True))
    assert any(mask.any() for mask in train)
    assert any(mask.any() for mask in val)


def names(collection, regions):
    return {collection.sources[region.source].name for region in regions}


def make_source(image):
    return Collection((ArraySource("image", image[None], tissue=tissue_map(image)),))


@pytest.mark.parametrize("shape", [(512, 512), (256, 700), (700, 130), (256, 256), (1024, 128)])
def test_one_image_is_cut_in_two(shape):
    collection = make_source(stained(*shape))
    parts = split(collection, 128)
    assert_disjoint(collection, parts)
    [train], [val] = parts.train, parts.val
    covered = train.height * train.width + val.height * val.width
    assert covered == shape[0] * shape[1]
    assert min(train.height, train.width, val.height, val.width) >= 128


def test_the_cut_leaves_a_quarter_of_the_tissue_for_validation():
    image = white(128, 2048)
    image[:, :1024] = stained(128, 1024)
    parts = split(make_source(image), 64)
    assert parts.val[0].col == pytest.approx(768, abs=16)


def test_five_files_or_more_are_split_by_file(tmp_path):
    collection = open_data(str(make_folder(tmp_path, 10)))
    parts = split(collection, 128)
    assert_disjoint(collection, parts)
    assert len(parts.val) == 2
    assert names(collection, parts.train).isdisjoint(names(collection, parts.val))


def test_five_slides_or_more_are_split_by_slide(tmp_path):
    for i in range(5):
        make_folder(tmp_path, 3, subfolder=f"slide_{i}")
    collection = open_data(str(tmp_path))
    parts = split(collection, 128)
    slides = [
        {collection.sources[r.source].slide for r in part} for part in (parts.train, parts.val)
    ]
    assert slides[0].isdisjoint(slides[1])
    assert len(slides[1]) == 1
    assert "1 of 5 slides" in parts.how


def test_the_choice_hangs_on_the_names_only(tmp_path):
    first = open_data(str(make_folder(tmp_path / "a", 8)))
    again = open_data(str(make_folder(tmp_path / "b", 8)))
    assert names(first, split(first, 128).val) == names(again, split(again, 128).val)


def test_small_images_without_room_for_both_are_split_by_file(tmp_path):
    collection = open_data(str(make_folder(tmp_path, 3)))
    parts = split(collection, 128)
    assert_disjoint(collection, parts)
    assert (len(parts.train), len(parts.val)) == (2, 1)


def test_what_the_data_sets_aside_is_taken(tmp_path):
    stack = np.stack([stained(64, 64, seed=i) for i in range(8)])
    np.savez(tmp_path / "x.npz", train_images=stack, val_images=stack[:3])
    collection = open_data(str(tmp_path / "x.npz"))
    parts = split(collection, 64)
    assert names(collection, parts.val) == {f"val_images/{i}" for i in range(3)}


def test_images_without_tissue_are_left_out(tmp_path):
    make_folder(tmp_path, 6)
    for i in range(20):
        save(tmp_path / f"white_{i}.png", white())
    collection = open_data(str(tmp_path))
    parts = split(collection, 128)
    assert len(parts.train) + len(parts.val) == 6


@pytest.mark.parametrize(
    ("image", "tile_size", "message"),
    [
        (white(256, 256), 128, "nearly empty"),
        (stained(200, 150), 128, "too small to hold both.*smaller --tile-size"),
        (stained(100, 150), 128, "smaller than a tile of 128.*100x150"),
    ],
)
def test_images_that_leave_nothing(image, tile_size, message):
    with pytest.raises(ConfigurationError, match=message):
        split(make_source(image), tile_size)


def test_anchors_reach_the_edges_and_leave_out_empty_tiles():
    image = white(128, 300)
    image[:, 150:] = stained(128, 150)
    collection = make_source(image)
    parts = split(make_source(stained(128, 300)), 64)
    found = anchors(collection.sources, [*parts.train, *parts.val], 64, 64)
    assert len(found)
    assert found[:, 2].max() == 300 - 64
    # A tile that starts before column 86 + 6 holds less than a tenth of tissue.
    assert found[:, 2].min() >= 86


@pytest.mark.skipif(not TISSUE.exists(), reason="real tissue is not here")
def test_a_real_background_tile_is_left_out():
    collection = open_data(str(TISSUE / "nct_crc_he_20x"))
    parts = split(collection, 128)
    used = names(collection, parts.train) | names(collection, parts.val)
    assert {source.name for source in collection.sources} - used == {"BACK-AAQSHYMA.tif"}
