"""The dashboards that a run drew, as pictures and as a list."""

import os
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analyzer_service.page.answers import PageError, answer
from analyzer_service.page.folders import RunFolders, open_regular
from analyzer_service.page.memory import BoundedMemory
from analyzer_service.page.pictures import cached, size_of, tag, thumbnail, unchanged
from analyzer_service.page.tiles.reading import whole_number

WIDTHS: Final = (64, 1280)
MOST_PIXELS: Final = 50_000_000
_BUDGET_BYTES: Final = 24 << 20
_DECODERS: Final = 2
"""A dashboard is 20 MiB once decoded: so many at a time, whoever asks."""


def routes(folders: RunFolders) -> list[Route]:
    """Routes of the list of dashboards, and of each of them."""
    thumbnails: BoundedMemory[bytes] = BoundedMemory(_BUDGET_BYTES, len)
    decoders = threading.BoundedSemaphore(_DECODERS)

    def list_dashboards(request: Request) -> Response:
        with folders.open(request.path_params["run"]) as reader:
            after = whole_number(request, "after")
            return answer([asdict(drawn) for drawn in reader.kept_steps().dashboards(after)])

    def send_dashboard(request: Request) -> Response:
        width = whole_number(request, "width")
        folder, path = _find(folders, request.path_params["run"], request.path_params["file"])
        try:
            with open_regular(path, folder) as file:
                found = os.fstat(file.fileno())
                etag = tag(found, width)
                if (same := unchanged(request, found, etag)) is not None:
                    return same
                if not width:
                    return _png(file.read(), cached(found, etag), path.name, request)
                key = (path, found.st_mtime_ns, found.st_size, width)
                body = thumbnails.get(key, lambda: _smaller(file.read(), width, decoders))
        except OSError as error:
            raise _gone(path.name) from error
        return Response(body, media_type="image/jpeg", headers=cached(found, etag))

    listed = "/api/runs/{run}/dashboards"
    return [Route(listed, list_dashboards), Route(f"{listed}/{{file}}", send_dashboard)]


def _find(folders: RunFolders, run: str, name: str) -> tuple[Path, Path]:
    """The run's folder, and the path in it of a dashboard that the run lists.

    Raises
    ------
    PageError
        404, if there is none.
    """
    with folders.open(run) as reader:
        listed = {drawn.file for drawn in reader.dashboards()}
        folder = reader.folder
    if name not in listed:
        raise PageError(404, f"This run has drawn no dashboard {name[:80]!r}.")
    return folder, folder / name


def _smaller(picture: bytes, width: int, decoders: threading.BoundedSemaphore) -> bytes:
    low, high = WIDTHS
    if not low <= width <= high:
        raise PageError(400, f"width must be {low} to {high} pixels.")
    size = size_of(picture)
    if size is not None and size[0] * size[1] > MOST_PIXELS:
        raise PageError(
            413,
            f"This dashboard has {size[0]:,} x {size[1]:,} pixels; what has more than "
            f"{MOST_PIXELS // 1_000_000} million is not made smaller here. Download it instead.",
        )
    body = None
    if size is not None:
        with decoders:
            body = thumbnail(picture, width)
    if body is None:
        raise PageError(410, "This dashboard's file is damaged.")
    return body


def _png(body: bytes, headers: dict[str, str], name: str, request: Request) -> Response:
    if "download" in request.query_params:
        headers = headers | {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(body, media_type="image/png", headers=headers)


def _gone(name: str) -> PageError:
    return PageError(410, f"The file of dashboard {name} is gone: it was moved or deleted.")
