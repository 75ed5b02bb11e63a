"""Whole validations: real nuclei, made tiles, several readers, bad input."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, cohen_kappa_score, f1_score, roc_auc_score

from analyzer_service.analyses.overlap import nuclear_attention
from analyzer_service.annotations.tile_names import tile_name
from analyzer_service.clinical import validate_run
from analyzer_service.clinical.console import lines_of
from analyzer_service.clinical.report import markdown, write_report
from analyzer_service.clinical.summarizing import PairKey
from shared.errors import ConfigurationError
from tests.analyzer_service.annotations.drawing import instances, needs_nuclei, region_of
from tests.analyzer_service.clinical.runs import (
    SIZE,
    TileRun,
    annotate,
    annotate_image,
    gate_of,
    make_tiles,
    spot,
)

NewRun = Callable[..., TileRun]


def spots(count: int) -> list[np.ndarray]:
    return [spot(4 * (i % 7), 4 * (i * 3 % 7)) for i in range(count)]


def annotated_run(run: TileRun, folder: Path, *, slides: int = 8) -> list[np.ndarray]:
    """Sixteen tiles whose attention follows the mark of each."""
    tiles, marks = make_tiles(16, slides=slides), spots(16)
    gates = np.stack([gate_of(mark, seed=i, noise=1.0) for i, mark in enumerate(marks)])
    for first in range(0, 16, 4):
        part = slice(first, first + 4)
        run.keep(tiles[part], {"bam_384": gates[part]}, number=1 + first // 4, epoch=0)
    for tile, mark in zip(tiles, marks, strict=True):
        annotate(folder, tile, {"tumor": mark})
    return marks


@needs_nuclei
def test_real_nuclei_as_scikit_learn_scores_them(new_run: NewRun, tmp_path: Path) -> None:
    """Tiles of one image: files of the tiles, and one file of the image, say the same."""
    labels = instances("tnbc/1022")
    corners = [(0, 0), (0, 256), (256, 0), (256, 256)]
    masks = [labels[r : r + 256, c : c + 256] > 0 for r, c in corners]
    tiles = [
        tile.model_copy(update={"row": r, "col": c, "source": "1022.png"})
        for tile, (r, c) in zip(make_tiles(4), corners, strict=True)
    ]
    rng = np.random.default_rng(3)
    gates = rng.random((4, 32, 32)).astype(np.float32)
    run = new_run()
    run.keep(tiles, {"bam_384": gates}, images=np.zeros((4, 256, 256, 3), np.uint8))
    nuclei = [region_of(labels == n) for n in np.unique(labels[labels > 0])]
    annotate_image(tmp_path / "whole", "1022", nuclei)
    for tile, mask in zip(tiles, masks, strict=True):
        annotate(tmp_path / "tiles", tile, {"nucleus": mask})
    whole = validate_run(run.folder, tmp_path / "whole")
    apart = validate_run(run.folder, tmp_path / "tiles")
    assert whole.faults == apart.faults == []
    for one, other, gate, mask in zip(whole.tiles, apart.tiles, gates, masks, strict=True):
        assert one.pairs[0].scores == other.pairs[0].scores
        pixels = np.kron(gate, np.ones((8, 8)))
        flat = mask.ravel(), pixels.ravel()
        above = pixels >= (np.float64(gate.min()) + gate.max()) / 2
        scores = one.pairs[0].scores
        assert scores["auc"] == pytest.approx(roc_auc_score(*flat), rel=1e-12)
        expected = average_precision_score(*flat)
        assert scores["average_precision"] == pytest.approx(expected, rel=1e-12)
        expected = f1_score(mask.ravel(), above.ravel())
        assert scores["half_maximum_f1"] == pytest.approx(expected, rel=1e-12)
        found = nuclear_attention(gate, mask)
        assert scores["enrichment"] == found["nuclear_attention_enrichment"]
        assert scores["annotated_fraction"] == pytest.approx(mask.mean())
        assert 0 < scores["ceiling"] < 1


def test_the_means_are_over_tiles_and_intervals_over_slides(
    new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run()
    annotated_run(run, tmp_path / "a")
    found = validate_run(run.folder, tmp_path / "a")
    summary = found.attention[PairKey("annotation", "tumor", "bam_384")]
    assert (summary.tiles, summary.slides, summary.by_slide) == (16, 8, True)
    values = [tile.pairs[0].scores["auc"] for tile in found.tiles]
    mean = summary.means["auc"]
    assert mean.mean == pytest.approx(np.mean(values))
    assert mean.low < mean.mean < mean.high
    assert len(found.slides) == 8
    (_, first), *_ = found.slides.items()
    assert first.means["auc"].mean == pytest.approx(np.mean(values[::8]))
    tests = {one.test.kind: one.test for one in found.own_or_others}
    assert tests["auc"].matched == pytest.approx(np.mean(values))
    assert (tests["auc"].low, tests["auc"].high) == (mean.low, mean.high), (
        "one number, one interval"
    )
    assert tests["auc"].p < 0.05
    assert tests["auc"].mismatched < 0.6


def test_tiles_without_the_class_stand_by_themselves(new_run: NewRun, tmp_path: Path) -> None:
    run, tiles = new_run(), make_tiles(3)
    gates = np.stack([gate_of(mark, seed=i) for i, mark in enumerate(spots(3))])
    run.keep(tiles, {"bam_384": gates})
    annotate(tmp_path / "a", tiles[0], {"tumor": spots(3)[0]})
    annotate(tmp_path / "a", tiles[1], {})  # looked at, nothing there
    found = validate_run(run.folder, tmp_path / "a")
    key = PairKey("annotation", "tumor", "bam_384")
    assert len(found.tiles) == 2, "the third was not looked at"
    assert found.attention[key].tiles == 1
    empty = found.without_annotation[key]
    assert empty.tiles == 1
    above = gates[1] >= (np.float64(gates[1].min()) + gates[1].max()) / 2
    assert empty.means["attended_fraction"].mean == pytest.approx(above.mean())
    assert empty.means["half_maximum_precision"].mean == 0.0
    assert empty.means["half_maximum_recall"].n == 0


def test_readers_against_each_other(new_run: NewRun, tmp_path: Path) -> None:
    run, tiles = new_run(), make_tiles(4)
    marks = spots(4)
    gates = np.stack([gate_of(mark, seed=i) for i, mark in enumerate(marks)])
    run.keep(tiles, {"bam_384": gates})
    moved = {"anna": 0, "ben": 1, "eva": 3}
    for reader, by in moved.items():
        for tile, mark in zip(tiles, marks, strict=True):
            annotate(tmp_path / reader, tile, {"tumor": np.roll(mark, by, axis=1)})
    found = validate_run(run.folder, tmp_path, readers=list(moved))
    dice = {between: s.means["dice"].mean for (_, between), s in found.agreement.items() if between}
    assert dice == {
        ("anna", "ben"): pytest.approx(7 / 8),
        ("anna", "eva"): pytest.approx(5 / 8),
        ("ben", "eva"): pytest.approx(6 / 8),
    }
    kappas = [cohen_kappa_score(mark.ravel(), np.roll(mark, 1, axis=1).ravel()) for mark in marks]
    found_kappa = found.agreement["tumor", ("anna", "ben")].means["cohen_kappa"].mean
    assert found_kappa == pytest.approx(np.mean(kappas))
    # The second tile's mark is inside of it: squares of 8 x 8, three columns apart. Of each
    # outline's 28 pixels the far side (8) is 3 from the other outline, and so is the middle of
    # the near side (2). Of each band's 48 pixels 4 rows of the 5 shared columns are the other's.
    one = {each.between: each.values for each in found.tiles[1].agreements}["anna", "eva"]
    assert [one[name] for name in ("nsd", "boundary_iou", "iou")] == [
        pytest.approx(18 / 28),
        pytest.approx(20 / 76),
        pytest.approx(40 / 88),
    ]
    everyone = found.agreement["tumor", ()].means
    assert 0.6 < everyone["fleiss_kappa"].mean < 0.9
    assert everyone["krippendorff_alpha"].mean == pytest.approx(
        everyone["fleiss_kappa"].mean, abs=1e-3
    )
    consensus = found.attention[PairKey("consensus", "tumor", "bam_384")]
    assert consensus.means["annotated_fraction"].mean == pytest.approx(64 / SIZE**2, rel=0.2)
    text = markdown(found)
    assert "## Between readers" in text
    assert "readers' own: `anna` and `ben` 0.875 (0.875 to 0.875); `anna` and `eva` 0.625" in text
    two = validate_run(run.folder, tmp_path, readers=["anna", "ben"])
    assert not any(key.reader == "consensus" for key in two.attention)
    assert "A consensus takes 3 readers" in markdown(two)


def test_outlines_agree_as_far_as_the_tolerance_says(new_run: NewRun, tmp_path: Path) -> None:
    run, (tile,) = new_run(), make_tiles(1)
    run.keep([tile], {"bam_384": gate_of(spot(8, 8))[None]})
    for reader, by in {"anna": 0, "ben": 3}.items():
        annotate(tmp_path / reader, tile, {"tumor": np.roll(spot(8, 8), by, axis=1)})
    readers = ["anna", "ben"]
    wide = validate_run(run.folder, tmp_path, readers=readers, tolerance_px=3.0)
    assert wide.agreement["tumor", ("anna", "ben")].means["nsd"].mean == 1.0
    text = markdown(wide)
    assert "within 3 pixels (1.5 µm) of the other one; boundary IoU compares bands of 3" in text
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(ConfigurationError, match="--tolerance"):
            validate_run(run.folder, tmp_path, readers=readers, tolerance_px=wrong)


def test_who_was_asked_for_a_class_and_marked_none_says_that_there_is_none(
    new_run: NewRun, tmp_path: Path
) -> None:
    """One reader marks mitoses, the other looked and found none in any tile."""
    run, tiles = new_run(), make_tiles(2)
    gates = np.stack([gate_of(mark, seed=i) for i, mark in enumerate(spots(2))])
    run.keep(tiles, {"bam_384": gates})
    for tile, mark in zip(tiles, spots(2), strict=True):
        annotate(tmp_path / "anna", tile, {"mitosis": mark, "tumor": mark})
        annotate(tmp_path / "ben", tile, {"tumor": mark})
    readers = ["anna", "ben"]
    between = ("mitosis", ("anna", "ben"))
    assert between not in validate_run(run.folder, tmp_path, readers=readers).agreement
    for said in ({"asked": ["mitosis", "necrosis"]}, {"classes": ["mitosis"]}):
        found = validate_run(run.folder, tmp_path, readers=readers, **said)
        dice = found.agreement[between].means["dice"]
        assert (dice.mean, dice.n) == (0.0, 2)
        assert found.without_annotation[PairKey("ben", "mitosis", "bam_384")].tiles == 2
        assert not any(label == "necrosis" for label, _ in found.agreement)


def test_bad_input_is_named_and_the_rest_is_used(new_run: NewRun, tmp_path: Path) -> None:
    run, tiles = new_run(), make_tiles(3)
    gates = np.stack([gate_of(mark, seed=i) for i, mark in enumerate(spots(3))])
    gates[2] = 0.5
    run.keep(tiles[:2], {"bam_384": gates[:2]}, number=1)
    run.keep(tiles[2:], {"bam_384": gates[2:]}, number=2)
    gone = make_tiles(1, id="gone", source=None)
    run.keep(gone, {"bam_384": gates[:1]}, number=3).unlink()
    folder = tmp_path / "a"
    for tile in (*tiles, *gone, *make_tiles(1, id="never seen")):
        annotate(folder, tile, {"tumor": spot(0, 0)})
    (folder / "broken.geojson").write_text("{")
    found = validate_run(run.folder, folder)
    faults = write_report(run.folder, found).content["faults"]
    assert {kind: fault["count"] for kind, fault in faults.items()} == {
        "not_annotations": 1,
        "unknown_tile": 1,
        "unread_frame": 1,
    }
    assert faults["unread_frame"]["listed"][0]["where"] == "gone"
    assert "`broken.geojson`: `not JSON" in markdown(found)
    assert [tile.sample.id for tile in found.tiles] == [tile.id for tile in tiles]
    summary = found.attention[PairKey("annotation", "tumor", "bam_384")]
    assert (summary.means["auc"].n, summary.means["auc"].left_out) == (2, 1)


def test_what_reaches_beyond_its_tile_is_clipped_and_said(new_run: NewRun, tmp_path: Path) -> None:
    run, (tile,) = new_run(), make_tiles(1, id="tile", source=None)
    run.keep([tile], {"bam_384": gate_of(spot(0, 24))[None]})
    beyond = region_of(spot(0, 0), label="tumor", left=SIZE - 4)
    annotate_image(tmp_path / "a", "tile.png", [beyond])
    found = validate_run(run.folder, tmp_path / "a")
    (fault,) = found.faults
    assert (fault.kind, fault.where) == ("outside", "tile.png.geojson")
    assert "x 28 to 36, y 0 to 8 in 32 x 32" in fault.what
    assert found.tiles[0].pairs[0].scores["annotated_fraction"] == 4 * 8 / SIZE**2


def test_a_file_that_misses_its_tile_does_not_say_that_it_is_empty(
    new_run: NewRun, tmp_path: Path
) -> None:
    """Coordinates of the slide under a tile's name, and a file of which nothing can be read."""
    run, tiles = new_run(), make_tiles(3, source=None)
    run.keep(tiles, {"bam_384": np.stack([gate_of(spot(4, 4), seed=i) for i in range(3)])})
    annotate(tmp_path / "a", tiles[0], {"tumor": spot(4, 4)})
    far = region_of(spot(0, 0), label="tumor", left=SIZE + 4)
    annotate_image(tmp_path / "a", tile_name(tiles[1].id), [far])
    annotate_image(tmp_path / "a", tile_name(tiles[2].id), [])
    broken = tmp_path / "a" / f"{tile_name(tiles[2].id)}.geojson"
    broken.write_text('{"type": "FeatureCollection", "features": [{"type": "Feature"}, 5]}')
    found = validate_run(run.folder, tmp_path / "a")
    assert [tile.sample.id for tile in found.tiles] == [tiles[0].id]
    assert found.without_annotation == {}
    assert sorted(fault.kind for fault in found.faults) == ["elsewhere", "no_area", "unreadable"]
    (fault,) = [fault for fault in found.faults if fault.kind == "elsewhere"]
    assert "x 36 to 44" in fault.what
    assert fault.where.startswith(tile_name(tiles[1].id))


def test_names_from_outside_do_not_steer_a_terminal(new_run: NewRun, tmp_path: Path) -> None:
    run, (tile,) = new_run(), make_tiles(1)
    run.keep([tile], {"bam_384": gate_of(spot(4, 4))[None]})
    annotate(tmp_path / "a", tile, {"\x1b[31mred\u202e": spot(4, 4)})
    (tmp_path / "a" / "b\x1b]0;title\x07.geojson").write_text("{")
    report = write_report(run.folder, validate_run(run.folder, tmp_path / "a"))
    for text in (report.markdown.read_text("utf-8"), "\n".join(lines_of(report))):
        assert "[31mred" in text
        assert not set("\x1b\x07\u202e") & set(text)


@pytest.mark.parametrize("reader", ["..", "a/b", "/tmp", ""])
def test_a_reader_is_a_subfolder(reader: str, new_run: NewRun, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="name of a subfolder"):
        validate_run(new_run().folder, tmp_path, readers=[reader])


def test_the_latest_map_of_a_tile_counts(new_run: NewRun, tmp_path: Path) -> None:
    run, (tile,) = new_run(), make_tiles(1)
    mark = spot(4, 4)
    run.keep([tile], {"bam_384": 1 - gate_of(mark)[None]}, number=1, epoch=0)
    run.keep([tile], {"bam_384": gate_of(mark)[None]}, number=2, epoch=1)
    run.keep([tile], {"bam_384": 1 - gate_of(mark)[None]}, number=1, phase="train", epoch=1)
    annotate(tmp_path / "a", tile, {"tumor": mark})
    (found,) = validate_run(run.folder, tmp_path / "a").tiles
    assert found.epoch == 1
    assert found.pairs[0].scores["auc"] > 0.9


def test_the_report_says_all_and_the_same_each_time(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run()
    annotated_run(run, tmp_path / "a")
    first = write_report(run.folder, validate_run(run.folder, tmp_path / "a"))
    texts = [path.read_bytes() for path in (first.markdown, first.json)]
    again = write_report(run.folder, validate_run(run.folder, tmp_path / "a"))
    assert [path.read_bytes() for path in (again.markdown, again.json)] == texts
    content = json.loads(texts[1], parse_constant=pytest.fail)
    assert content == first.content
    assert content["layers"] == {"bam_384": {"grid": [8, 8], "cell_px": 4.0}}
    assert len(content["images"]) == 16
    text = texts[0].decode()
    for part in (
        "It is no verdict",
        "16 annotated tiles of 8 slides, out of 16 validation tiles",
        "Layer `bam_384`: 8 × 8 cells, each 4 pixels a side",
        "## Attention against `tumor`, reader `annotation`",
        "Intervals are over 8 slides.",
        "| AUC (chance 0.5) ",
        "By slide, means over its tiles:",
    ):
        assert part in text, part
    assert "NaN" not in texts[1].decode()
    assert not list(run.folder.glob(".*.tmp"))


def test_a_flat_gate_has_no_scores_but_a_ceiling(new_run: NewRun, tmp_path: Path) -> None:
    run, (tile,) = new_run(), make_tiles(1)
    run.keep([tile], {"bam_384": np.full((1, 8, 8), 0.5, np.float32)})
    annotate(tmp_path / "a", tile, {"tumor": spot(4, 4)})
    found = validate_run(run.folder, tmp_path / "a")
    scores = found.tiles[0].pairs[0].scores
    assert math.isnan(scores["auc"])
    assert scores["ceiling"] == 1.0
    assert "undefined" in markdown(found)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        validate_run(tmp_path, tmp_path)
