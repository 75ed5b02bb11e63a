"""The tiles whose images and maps a run's folder still holds."""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from analyzer_service.commit.database import open_reader, open_unchanged
from analyzer_service.sinks.frames import read_frame
from shared.messages import BatchFrame, Phase, Sample


@dataclass(frozen=True, slots=True)
class KeptTile:
    """One tile, and where its latest image and maps are: sample `position` of a frame's `file`."""

    sample: Sample
    phase: Phase
    epoch: int
    global_step: int
    file: str
    position: int


def kept_tiles(folder: Path, *, unchanged: bool = False) -> list[KeptTile]:
    """Every tile of a kept frame once for each phase, as its last released row has it.

    In the order of the rows. Tiles of superseded rows and of frames that could not be analyzed
    are left out. `unchanged` is as of `RunReader`.

    Raises
    ------
    ConfigurationError
        If `folder` holds no run.
    """
    query = (
        "SELECT s.sample, b.phase, b.epoch, b.global_step, f.file, s.position FROM batches b "
        "JOIN frames f ON f.id = b.frame JOIN samples s ON s.frame = f.id "
        "WHERE b.superseded = 0 AND f.file IS NOT NULL ORDER BY b.release, s.position"
    )
    latest: dict[tuple[Phase, str], KeptTile] = {}
    opened = open_unchanged if unchanged else open_reader
    with closing(opened(folder)) as connection:
        for text, *place in connection.execute(query):
            tile = KeptTile(Sample.model_validate(json.loads(text)), *place)
            latest.pop((tile.phase, tile.sample.id), None)
            latest[tile.phase, tile.sample.id] = tile
    return list(latest.values())


def with_frames(
    folder: Path, tiles: Iterable[KeptTile]
) -> Iterator[tuple[KeptTile, BatchFrame | None]]:
    """Each tile with its frame, or None where that is gone or damaged; one frame is held."""
    for file, group in groupby(tiles, key=lambda tile: tile.file):
        frame = read_frame(folder, file)
        for tile in group:
            whole = frame is not None and tile.position < len(frame.samples)
            yield tile, frame if whole else None
