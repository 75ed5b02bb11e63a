"""Tiles and tasks for pathologists, and their way back into the report."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from analyzer_service import (
    create_pathologist_annotation_interface,
    generate_clinical_validation_report,
)
from analyzer_service.annotations import read_annotations, write_geojson
from shared.errors import ConfigurationError
from tests.analyzer_service.annotations.drawing import region_of
from tests.analyzer_service.clinical.runs import SIZE, TileRun, gate_of, make_tiles, spot

NewRun = Callable[..., TileRun]


def a_run(run: TileRun, count: int = 4) -> np.ndarray:
    images = np.random.default_rng(1).integers(0, 255, (count, SIZE, SIZE, 3)).astype(np.uint8)
    gates = np.stack([gate_of(spot(4, 4), seed=i) for i in range(count)])
    run.keep(make_tiles(count), {"bam_384": gates}, images=images)
    run.keep(make_tiles(1, id="train/0/0"), {"bam_384": gates[:1]}, phase="train", number=5)
    return images


def test_tiles_and_tasks_are_there(new_run: NewRun) -> None:
    run = new_run()
    images = a_run(run)
    made = create_pathologist_annotation_interface(run.folder, classes=["tumor"])
    assert made.folder == run.folder / "annotations"
    assert sorted(task.tile for task in made.tasks) == [tile.id for tile in make_tiles(4)]
    listed = json.loads((made.folder / "tasks.json").read_text())
    assert listed["classes"] == ["tumor"]
    assert [task["tile"] for task in listed["tasks"]] == [task.tile for task in made.tasks]
    assert listed["tasks"][0]["slide"] == "s0"
    for task in made.tasks:
        number = [tile.id for tile in make_tiles(4)].index(task.tile)
        pixels = cv2.imread(str(made.folder / task.image))
        assert pixels is not None
        np.testing.assert_array_equal(pixels[..., ::-1], images[number])
        (skeleton,) = task.annotations
        content = json.loads((made.folder / skeleton).read_text())
        assert (content["type"], content["features"]) == ("FeatureCollection", [])
        assert Path(skeleton).stem == Path(task.image).stem
    assert not list(made.folder.glob(".*"))


def test_what_is_marked_comes_back_and_what_is_not_yet_does_not_count(new_run: NewRun) -> None:
    run = new_run()
    a_run(run)
    made = create_pathologist_annotation_interface(run.folder)
    first, second, *_ = (made.folder / task.annotations[0] for task in made.tasks)
    write_geojson(first, [region_of(spot(4, 4), label="tumor")])
    write_geojson(second, [])  # looked at, nothing there
    content = generate_clinical_validation_report({"run_folder": run.folder}).content
    assert content["run"]["tiles_annotated"] == 2
    assert content["faults"]["untouched"]["count"] == 2
    assert content["attention"][0]["tiles"] == content["without_annotation"][0]["tiles"] == 1


def test_work_is_never_written_over(new_run: NewRun) -> None:
    run = new_run()
    a_run(run)
    made = create_pathologist_annotation_interface(run.folder)
    work, damaged, *_ = (made.folder / task.annotations[0] for task in made.tasks)
    write_geojson(work, [region_of(spot(4, 4), label="tumor")])
    damaged.write_text("half a fi")
    before = work.read_bytes()
    again = create_pathologist_annotation_interface(run.folder)
    assert again.done == 2
    assert (work.read_bytes(), damaged.read_text()) == (before, "half a fi")
    assert again.tasks == made.tasks


def test_each_reader_has_files_that_the_report_finds(new_run: NewRun) -> None:
    run = new_run()
    a_run(run)
    made = create_pathologist_annotation_interface(run.folder, readers=["anna", "ben"])
    for task in made.tasks:
        for name in task.annotations:
            write_geojson(made.folder / name, [region_of(spot(4, 4), label="tumor")])
    report = generate_clinical_validation_report(run.folder)
    assert list(report.content["annotations"]["readers"]) == ["anna", "ben"]
    (pair,) = [one for one in report.content["agreement"] if one["readers"]]
    assert pair["scores"]["dice"]["mean"] == 1.0
    for name in ("../anna", "consensus", ""):
        with pytest.raises(ConfigurationError, match="use letters, digits"):
            create_pathologist_annotation_interface(run.folder, readers=[name])


def test_few_tiles_are_a_beginning_of_many_and_gone_ones_are_named(new_run: NewRun) -> None:
    run = new_run()
    a_run(run)
    run.keep(make_tiles(1, id="gone"), {}, number=2).unlink()
    every = create_pathologist_annotation_interface(run.folder)
    assert every.left_out == ("gone",)
    few = create_pathologist_annotation_interface(run.folder, most_tiles=2)
    order = [task.tile for task in every.tasks]
    assert [task.tile for task in few.tasks] == order[: len(few.tasks)]
    assert len(few.tasks) + len(few.left_out) == 2


def test_a_run_without_tiles_is_refused(new_run: NewRun) -> None:
    with pytest.raises(ConfigurationError, match="kept no validation tile"):
        create_pathologist_annotation_interface(new_run().folder)


def test_skeletons_are_read_as_to_do(new_run: NewRun) -> None:
    run = new_run()
    a_run(run)
    made = create_pathologist_annotation_interface(run.folder)
    found = read_annotations(made.folder / made.tasks[0].annotations[0])
    assert [fault.kind for fault in found.faults] == ["untouched"]


def test_it_says_how_to_mark_in_the_browser(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run()
    a_run(run)
    made = create_pathologist_annotation_interface(run.folder)
    assert made.command == f"python -m analyzer_service page --output-dir {tmp_path}"
    assert made.page == "/runs/0/annotate"
    elsewhere = run.folder.rename(tmp_path / "other")
    assert create_pathologist_annotation_interface(elsewhere).page is None


def test_readers_of_one_name_but_for_its_case_are_refused(new_run: NewRun) -> None:
    run = new_run()
    a_run(run)
    with pytest.raises(ConfigurationError, match="hold for one"):
        create_pathologist_annotation_interface(run.folder, readers=["Anna", "anna"])
