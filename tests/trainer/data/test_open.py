"""What ``--data`` may be, and what is said when it cannot be used."""

import pickle

import numpy as np
import pytest
from PIL import Image

from shared.errors import ConfigurationError
from tests.trainer.data.builders import TISSUE, make_folder, save, stained, white
from trainer.data import images, npz, slide
from trainer.data.open import open_data


def test_the_embedded_image_needs_no_file():
    collection = open_data("ihc")
    [source] = collection.sources
    assert (source.height, source.width, collection.stain) == (512, 512, "ihc")
    assert source.read(10, 20, 3, 4).shape == (3, 4, 3)


def test_a_folder_may_be_nested_and_of_mixed_formats(tmp_path):
    expected = {}
    for name in ("a.png", "deep/er/b.TIF", "deep/c.tiff"):
        expected[name] = stained(seed=len(expected))
        save(tmp_path / name, expected[name])
    save(tmp_path / "deep" / "d.jpeg", stained())
    (tmp_path / "notes.txt").write_text("not an image")
    collection = open_data(str(tmp_path))
    assert [source.name for source in collection.sources] == [
        *("a.png", "deep/c.tiff", "deep/d.jpeg", "deep/er/b.TIF")
    ]
    assert [source.slide for source in collection.sources] == [None, "deep", "deep", "deep/er"]
    for source in collection.sources:
        if source.name in expected:
            tile = source.read(5, 7, 20, 30)
            assert np.array_equal(tile, expected[source.name][5:25, 7:37])


def test_unreadable_images_are_skipped_and_named(tmp_path, caplog):
    make_folder(tmp_path, 2)
    (tmp_path / "empty.png").write_bytes(b"")
    torn = (tmp_path / "tile_0.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(torn[: len(torn) // 2])
    Image.fromarray(np.zeros((64, 64), np.uint16)).save(tmp_path / "deep.png")
    collection = open_data(str(tmp_path))
    assert [source.name for source in collection.sources] == ["tile_0.png", "tile_1.png"]
    assert {item.name for item in collection.skipped} == {"empty.png", "torn.png", "deep.png"}
    for name in ("empty.png", "torn.png", "deep.png"):
        assert name in caplog.text
    assert "3 unreadable images were skipped" in caplog.text


def test_a_single_unreadable_image_is_counted_as_one(tmp_path, caplog):
    make_folder(tmp_path, 1)
    (tmp_path / "empty.png").write_bytes(b"")
    open_data(str(tmp_path))
    assert "1 unreadable image was skipped" in caplog.text


def test_a_folder_where_nothing_can_be_read_is_one_line(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ConfigurationError, match=r"none of the 1 images.*broken.png") as raised:
        open_data(str(tmp_path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "missing", "no such data"),
        (lambda folder: folder, "no images in"),
        (lambda folder: (folder / "a.csv").write_text("x") and folder / "a.csv", "neither a"),
        (lambda folder: (folder / "a.npz").write_text("x") and folder / "a.npz", "cannot be read"),
    ],
)
def test_data_that_cannot_be_used(tmp_path, make, message):
    with pytest.raises(ConfigurationError, match=message):
        open_data(str(make(tmp_path)))


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_npz_of_gray_and_color_images(tmp_path, channels):
    rng = np.random.default_rng(0)
    train = rng.integers(0, 256, (6, 28, 28, *channels), dtype=np.uint8)
    np.savez_compressed(tmp_path / "x.npz", train_images=train, val_images=train[:2] // 2)
    collection = open_data(str(tmp_path / "x.npz"))
    assert collection.held_out == {6, 7}
    assert collection.sources[6].name == "val_images/0"
    tile = collection.sources[2].read(1, 2, 8, 9)
    assert tile.shape == (8, 9, 3)
    assert np.array_equal(tile[..., -1], train[2, 1:9, 2:11].reshape(8, 9, -1)[..., -1])


def test_large_npz_arrays_are_mapped_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "_LARGEST_IN_MEMORY", 100)
    train = np.arange(3 * 32 * 32, dtype=np.uint32).astype(np.uint8).reshape(3, 32, 32)
    np.savez_compressed(tmp_path / "x.npz", train_images=train)
    collection = open_data(str(tmp_path / "x.npz"))
    assert isinstance(collection.sources[0].stack, np.memmap)
    assert np.array_equal(collection.sources[2].read(0, 0, 32, 32)[..., 0], train[2])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 32, 32), np.uint8)}, "holds no train_images, it has: images"),
        ({"train_images": np.zeros((2, 32, 32), np.float32)}, "float32"),
        ({"train_images": np.zeros((2, 32, 32, 4), np.uint8)}, "expected uint8"),
        ({"train_images": np.array([{"a": 1}], dtype=object)}, "cannot be read"),
    ],
)
def test_npz_of_another_kind(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ConfigurationError, match=message):
        open_data(str(tmp_path / "x.npz"))


def test_decoded_images_stay_within_their_budget(tmp_path):
    paths = [save(tmp_path / f"{i}.png", stained(64, 64, seed=i)) for i in range(4)]
    decoded = images.DecodedImages(budget_bytes=2 * 64 * 64 * 3)
    for path in [*paths, *paths]:
        decoded.get(path)
    assert decoded.nbytes == 2 * 64 * 64 * 3
    assert pickle.loads(pickle.dumps(decoded)).nbytes == 0


def test_images_too_large_to_decode_are_skipped_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "LARGEST_DECODED_PIXELS", 200 * 200)
    make_folder(tmp_path, 1)
    save(tmp_path / "huge.png", white(300, 300))
    collection = open_data(str(tmp_path))
    assert [item.name for item in collection.skipped] == ["huge.png"]


def test_whole_slides_say_how_to_install_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openslide", None)
    (tmp_path / "a.svs").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match=r"pip install 'sidelight\[wsi\]'"):
        open_data(str(tmp_path / "a.svs"))


def test_a_broken_slide_is_named(tmp_path):
    pytest.importorskip("openslide")
    (tmp_path / "a.svs").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match=r"a\.svs cannot be read as a whole-slide image"):
        open_data(str(tmp_path / "a.svs"))


@pytest.mark.skipif(not TISSUE.exists(), reason="real tissue is not here")
def test_a_real_slide_is_read_by_regions():
    pytest.importorskip("openslide")
    path = TISSUE / "CMU-1-Small-Region.svs"
    [source] = open_data(str(path)).sources
    assert (source.width, source.height, source.mpp) == (2220, 2967, 0.499)
    # The PNG tiles beside it were cut from the same slide, at the place in their names.
    png = np.asarray(Image.open(TISSUE / "cmu1_he_20x" / "y01024_x01024.png").convert("RGB"))
    again = pickle.loads(pickle.dumps(source))
    for opened in (source, again):
        tile = opened.read(1024 + 100, 1024 + 50, 64, 96)
        assert np.array_equal(tile, png[100:164, 50:146])
    assert source.tissue.of(1024, 1024, 512, 512) == pytest.approx(0.86, abs=0.03)
    assert slide.open_slide(path, mpp=0.25).mpp == 0.25
