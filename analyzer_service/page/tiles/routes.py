"""Addresses of a run's steps, and of the tiles in them."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analyzer_service.page.answers import PageError, answer, arrays
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.memory import BoundedMemory
from analyzer_service.page.pictures import png
from analyzer_service.page.tiles.colors import color_tables
from analyzer_service.page.tiles.nuclei import Ring, nuclear_rings
from analyzer_service.page.tiles.probes import recurring_tiles
from analyzer_service.page.tiles.reading import StepReading, position_in, whole_number
from analyzer_service.page.tiles.telling import (
    FIELDS,
    PLACE_FIELDS,
    step_row,
    tell_step,
    tell_tile,
    tile_row,
)

IMAGES: Final = ("input", "reconstruction")
_OUTLINES_BYTES: Final = 16 << 20
_POINT_BYTES: Final = 120  # two floats in a list in a list

Outlines = tuple[int, list[Ring]]


def routes(folders: RunFolders) -> list[Route]:
    """Routes of steps, frames, tiles and color tables."""
    steps = StepReading(folders)
    outlines: BoundedMemory[Outlines] = BoundedMemory(_OUTLINES_BYTES, _outline_bytes)

    def list_steps(request: Request) -> Response:
        with folders.open(request.path_params["run"]) as reader:
            kept = reader.kept_steps()
            found = kept.steps(whole_number(request, "after"))
            rows = [step_row(step) for step in found]
            return answer({"fields": FIELDS, "rows": rows, "total": kept.count()})

    def show_step(request: Request) -> Response:
        with steps.open(request) as step:
            return answer(tell_step(step))

    def send_image(request: Request) -> Response:
        with steps.open(request) as step:
            image = getattr(step.frame, _image_name(request.path_params["image"]))
            return Response(png(image[position_in(request, step.frame)]), media_type="image/png")

    def send_maps(request: Request) -> Response:
        names = [_image_name(name) for name in request.query_params.getlist("image")]
        with steps.open(request) as step:
            position = position_in(request, step.frame)
            facts, maps = tell_tile(step, position)
            images: dict[str, NDArray[Any]] = {
                name: getattr(step.frame, name)[position] for name in names
            }
            return arrays(facts, images | maps)

    def send_nuclei(request: Request) -> Response:
        with steps.open(request) as step:
            position = position_in(request, step.frame)
            image, mpp = step.frame.input[position], step.mpp(position)
            key = (step.reader.folder, step.row.file, step.frame.captured_at_ns, position)
            count, rings = outlines.get(key, lambda: nuclear_rings(image, mpp=mpp))
            return answer({"count": count, "assumed_mpp": mpp is None, "rings": rings})

    def list_probes(request: Request) -> Response:
        with folders.open(request.path_params["run"]) as reader:
            tiles = recurring_tiles(reader.kept_steps().appearances())
            return answer({"fields": PLACE_FIELDS, "tiles": [tile_row(tile) for tile in tiles]})

    def send_colors(_: Request) -> Response:
        return arrays({}, color_tables())

    frame = "/api/runs/{run}/frames/{phase}/{number}"
    return [
        Route("/api/colors", send_colors),
        Route("/api/runs/{run}/steps", list_steps),
        Route("/api/runs/{run}/probes", list_probes),
        Route(frame, show_step),
        Route(f"{frame}/{{position}}/maps", send_maps),
        Route(f"{frame}/{{position}}/nuclei", send_nuclei),
        Route(f"{frame}/{{position}}/{{image}}.png", send_image),
    ]


def _image_name(name: str) -> str:
    if name not in IMAGES:
        raise PageError(404, "A tile's images are its input and its reconstruction.")
    return name


def _outline_bytes(found: Outlines) -> int:
    return int(np.sum([len(ring) for ring in found[1]], dtype=np.int64)) * _POINT_BYTES
