"""Runs whose folders hold known tiles and gates, and annotations of these."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer_service.annotations import Region, write_geojson
from analyzer_service.annotations.tile_names import tile_name
from analyzer_service.commit.run_rows import Source
from analyzer_service.commit.store import StoredFrame
from analyzer_service.sinks.frames import write_frame
from shared.messages import BatchMetrics, Sample
from tests.analyzer_service.annotations.drawing import region_of
from tests.analyzer_service.sinks.runs import RunWriter
from tests.builders import make_batch, make_frame

SIZE = 32


def spot(row: int, col: int, *, size: int = SIZE, side: int = 8) -> NDArray[np.bool_]:
    """A square mark in a tile."""
    mask = np.zeros((size, size), dtype=bool)
    mask[row : row + side, col : col + side] = True
    return mask


def gate_of(
    mask: NDArray[np.bool_], *, cells: int = 8, seed: int = 0, noise: float = 0.1
) -> NDArray[np.float32]:
    """Attention that follows a mark, with some noise."""
    step = len(mask) // cells
    share = mask.reshape(cells, step, cells, step).mean(axis=(1, 3))
    disturbed = noise * np.random.default_rng(seed).random((cells, cells))
    return (0.3 + 0.4 * share + disturbed).astype(np.float32)


def make_tiles(count: int, *, slides: int = 1, **overrides: Any) -> list[Sample]:
    """Tiles side by side, each of an image; images are named after their slides."""
    return [
        Sample(
            **(
                {
                    "id": f"s{i % slides}/a.png:0:{SIZE * i}",
                    "source": f"s{i % slides}/a.png",
                    "slide": f"s{i % slides}",
                    "row": 0,
                    "col": SIZE * i,
                }
                | overrides
            )
        )
        for i in range(count)
    ]


class TileRun:
    """Writes frames of tiles that are kept, as rows of a run."""

    def __init__(self, folder: Path, **overrides: Any) -> None:
        self.folder = folder
        self.writer = RunWriter(folder, **overrides)

    def keep(
        self,
        samples: Sequence[Sample],
        gates: Mapping[str, NDArray[np.float32]],
        *,
        phase: str = "val",
        number: int = 1,
        images: NDArray[np.uint8] | None = None,
        reconstruction: NDArray[np.uint8] | None = None,
        activation: Mapping[str, NDArray[np.float32]] | None = None,
        **keys: Any,
    ) -> Path:
        """Release one batch with these tiles; the file of its frame is returned."""
        message = make_batch(number, phase=phase, **keys)
        size = SIZE if images is None else images.shape[1]
        pixels = np.full((len(samples), size, size, 3), 200, np.uint8) if images is None else images
        frame = make_frame(
            number,
            phase=phase,
            samples=tuple(samples),
            input=pixels,
            reconstruction=pixels if reconstruction is None else reconstruction,
            attention=dict(gates),
            activation=dict(activation or {}),
        )
        name, nbytes = write_frame(self.folder, frame)
        self._release(message, samples, (name, nbytes))
        return self.folder / name

    def close(self) -> None:
        self.writer.close()

    def _release(
        self, message: BatchMetrics, samples: Sequence[Sample], file: tuple[str, int]
    ) -> None:
        run = self.writer
        stored = StoredFrame(
            stream=message.phase,
            fseq=message.phase_step,
            state="analyzed",
            phase=message.phase,
            phase_step=message.phase_step,
            part={"samples": float(len(samples)), "ssim": 0.5},
            samples=[(sample.model_dump_json(), {"ssim": 0.5}) for sample in samples],
            file=file[0],
            file_bytes=file[1],
        )
        with run.store.transaction():
            run.cseq += 1
            run.store.add_frame(run.origin, stored)
            found = run.store.frame(run.origin, stored.stream, stored.fseq)
            run.released.add_batch(Source(run.origin, run.cseq, run.started), message, found)


def annotate(folder: Path, sample: Sample, masks: Mapping[str, NDArray]) -> None:
    """A file named after a tile, with a region for each class that is marked."""
    folder.mkdir(parents=True, exist_ok=True)
    regions = [region_of(mask, label=label) for label, mask in masks.items() if mask.any()]
    write_geojson(folder / f"{tile_name(sample.id)}.geojson", regions)


def annotate_image(folder: Path, name: str, regions: Sequence[Region]) -> None:
    """A file named after an image that tiles are cut from."""
    path = folder / f"{name}.geojson"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_geojson(path, regions)
