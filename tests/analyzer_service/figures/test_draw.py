"""Dashboards of a run that went through the real pipeline and the real analyses."""

import gc
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from numpy.typing import NDArray

from analyzer_service.commit.reader import RunReader
from analyzer_service.figures.draw import dashboard_name, draw_dashboard, read_dashboard
from analyzer_service.figures.sheet import HEIGHT, WIDTH
from analyzer_service.pipeline import Calls, PipelineSettings
from analyzer_service.workers.inline import InlineWorkers
from shared.errors import ConfigurationError, SinkError
from shared.messages import Phase
from tests.analyzer_service.pipeline.driving import make_said, run_whole
from tests.analyzer_service.pipeline.stubs import CALLS
from tests.builders import make_drop

SETTINGS = PipelineSettings(
    calls=Calls(
        analyze="analyzer_service.analyses.frame:analyze_frame",
        dashboard="analyzer_service.figures.draw:draw_dashboard",
        epoch=CALLS.epoch,
        final=CALLS.final,
        report=CALLS.report,
    ),
    end_grace_s=0.0,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 2 epochs; train frame 8 was dropped."""
    said = make_said().without(8)
    said.records.insert(-1, make_drop(8))
    output = tmp_path_factory.mktemp("runs")
    workers = InlineWorkers()
    try:
        return run_whole(output, workers, said, settings=SETTINGS)
    finally:
        workers.close(0.0)


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / finished.name))


def release_of(folder: Path, phase: Phase, number: int) -> int:
    with RunReader(folder) as reader:
        found = [
            record.release
            for record in reader.dashboards()
            if (record.phase, record.number) == (phase, number)
        ]
    assert len(found) == 1
    return found[0]


def test_the_pipeline_draws_one_file_for_each_detailed_step(finished: Path) -> None:
    drawn = sorted(path.name for path in finished.glob("*.png"))
    # Every fourth of 20 training batches, and both validation batches of 2 epochs.
    expected = [dashboard_name("train", number) for number in range(4, 21, 4)]
    expected += [dashboard_name("val", number) for number in range(1, 5)]
    assert drawn == expected
    for name in drawn:
        assert cv2.imread(str(finished / name)).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(("phase", "number"), [("train", 4), ("train", 8), ("val", 2)])
def test_drawing_later_gives_the_same_bytes(folder: Path, phase: Phase, number: int) -> None:
    path = folder / dashboard_name(phase, number)
    live = path.read_bytes()
    path.unlink()
    assert draw_dashboard(folder, phase, number, release_of(folder, phase, number)) == path
    assert path.read_bytes() == live
    assert list(folder.glob(".*")) == []


def test_a_dashboard_reads_rows_up_to_its_own_only(folder: Path) -> None:
    data = read_dashboard(folder, "train", 12, release_of(folder, "train", 12))
    assert data.history["train"]["global_step"].tolist() == list(range(1, 13))
    assert data.history["val"]["global_step"].tolist() == [10, 10]
    assert data.row["global_step"] == 12


def test_the_shown_tile_is_measured_as_the_row_measures_tiles(folder: Path) -> None:
    data = read_dashboard(folder, "train", 4, release_of(folder, "train", 4))
    with RunReader(folder) as reader:
        first = next(
            found.values for found in reader.sample_values(phase="train") if found.global_step == 4
        )
    assert data.tile is not None
    measured = {"mse": data.tile.mse, "psnr": data.tile.psnr, "ssim": data.tile.ssim}
    assert measured == {name: first[name] for name in measured}


def test_nuclei_of_the_shown_tile_are_outlined_when_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[int, ...], float | None]] = []

    def segment(image: NDArray[np.uint8], *, mpp: float | None) -> NDArray[np.int32]:
        asked.append((image.shape, mpp))
        labels = np.zeros(image.shape[:2], np.int32)
        labels[4:20, 4:20] = 1
        return labels

    monkeypatch.setattr("analyzer_service.figures.draw.segment", segment)
    release = release_of(folder, "train", 4)
    plain = draw_dashboard(folder, "train", 4, release, False).read_bytes()
    assert asked == []
    outlined = draw_dashboard(folder, "train", 4, release, True).read_bytes()
    assert asked == [((32, 32, 3), 0.5)]
    assert outlined != plain
    dropped = release_of(folder, "train", 8)
    assert read_dashboard(folder, "train", 8, dropped, nuclei=True).nuclei is None


def test_a_dropped_frame_has_no_images(folder: Path) -> None:
    data = read_dashboard(folder, "train", 8, release_of(folder, "train", 8))
    assert (data.frame, data.tile, data.count("samples")) == (None, None, 0)


def test_a_row_that_is_not_released_is_refused(folder: Path) -> None:
    with pytest.raises(KeyError, match="9999"):
        draw_dashboard(folder, "train", 4, 9999)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        draw_dashboard(tmp_path, "train", 4, 1)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(folder: Path) -> None:
    release = release_of(folder, "train", 4)
    path = folder / dashboard_name("train", 4)
    path.unlink()
    path.mkdir()
    with pytest.raises(SinkError, match="cannot write"):
        draw_dashboard(folder, "train", 4, release)
    assert list(folder.glob(".*")) == []


def test_no_pixels_outlive_their_drawing(folder: Path) -> None:
    release = release_of(folder, "train", 4)
    gc.collect()
    gc.disable()  # Python looks for rings when it likes to: here, not at all
    try:
        for _ in range(3):
            draw_dashboard(folder, "train", 4, release)
        assert sum(type(found) is RendererAgg for found in gc.get_objects()) == 0
    finally:
        gc.enable()
