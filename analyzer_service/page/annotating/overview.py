"""What there is to annotate, and how far each reader is."""

from pathlib import Path
from typing import Any

from analyzer_service.page.annotating.classes import read_classes
from analyzer_service.page.annotating.store import Annotations, Summary
from analyzer_service.page.annotating.tiles import Tile, Tiles


def overview(
    run: Path, tiles: Tiles, annotations: Annotations, reader: str | None
) -> dict[str, Any]:
    """Classes, readers, and tiles with the status that `reader` gave them.

    Raises
    ------
    PageError
        409, if the run cannot be read.
    """
    listed = tiles.listed(run)
    summaries = {
        name: {tile: annotations.summary(folder, tile) for tile in listed}
        for name, folder in annotations.readers.owners().items()
    }
    own = summaries.get(reader or "", {})
    readers = [
        {"name": name, "tiles_done": sum(one.status != "open" for one in found.values())}
        for name, found in summaries.items()
    ]
    return {
        **read_classes(annotations.readers.folder).model_dump(mode="json"),
        "readers": readers,
        "tiles": [
            _tile(tile, tiles.shape(run, tile), own.get(tile.name, Summary()))
            for tile in listed.values()
        ],
    }


def _tile(tile: Tile, shape: tuple[int, int] | None, own: Summary) -> dict[str, Any]:
    kept, sample = tile.kept, tile.kept.sample
    height, width = shape or (None, None)
    return {
        "tile": tile.name,
        "id": sample.id,
        "phase": kept.phase,
        "epoch": kept.epoch,
        "global_step": kept.global_step,
        "width": width,
        "height": height,
        "mpp": sample.mpp,
        "source": sample.source,
        "slide": sample.slide,
        "row": sample.row,
        "col": sample.col,
        "status": own.status,
        "regions": own.regions,
        "revision": own.revision,
    }
