"""Addresses of the annotating part."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Lock
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from analyzer_service.page.annotating.agreement import Asking, agreement
from analyzer_service.page.annotating.asking import (
    answer_marks,
    json_of,
    refuse_other_sites,
    with_body,
)
from analyzer_service.page.annotating.classes import read_classes, write_classes
from analyzer_service.page.annotating.combining import combine
from analyzer_service.page.annotating.exchange import Importing, export_all, export_tile
from analyzer_service.page.annotating.ops import apply_ops, read_ops
from analyzer_service.page.annotating.overview import overview
from analyzer_service.page.annotating.readers import ReaderFolders, name_of_reader
from analyzer_service.page.annotating.showing import marks, marks_with_others
from analyzer_service.page.annotating.store import Annotations, document_facts
from analyzer_service.page.annotating.tiles import Tile, Tiles, layers_of
from analyzer_service.page.annotating.watching import Watch, events_of
from analyzer_service.page.answers import PageError, answer, arrays
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.streaming import stream


class Desk:
    """What the handlers share: tiles and documents of every run that was asked for."""

    def __init__(self, folders: RunFolders) -> None:
        self.folders = folders
        self.tiles = Tiles(folders.output_dir)
        self._runs: dict[Path, Annotations] = {}
        self._lock = Lock()

    def run(self, request: Request) -> Path:
        """Folder of the run that a request names."""
        return self.folders.find(request.path_params["run"])

    def annotations(self, run: Path) -> Annotations:
        """Documents of a run."""
        with self._lock:
            if run not in self._runs:
                readers = ReaderFolders(run, self.folders.output_dir)
                self._runs[run] = Annotations(readers)
            return self._runs[run]

    def tile(self, request: Request) -> tuple[Path, Tile]:
        """The run and the tile that a request names."""
        run = self.run(request)
        return run, self.tiles.find(run, request.path_params["tile"])


def reader_of(request: Request) -> str:
    """The reader that a request names."""
    return name_of_reader(request.query_params.get("reader", ""))


def routes(folders: RunFolders) -> list[Route]:
    """Routes of the annotating part."""
    desk = Desk(folders)
    base, tile = "/api/runs/{run}/annotations", "/api/runs/{run}/annotations/tiles/{tile}"
    return [
        Route(f"{base}/overview", _overview(desk)),
        Route(f"{base}/classes", with_body(_classes(desk)), methods=["PUT"]),
        Route(f"{base}/geometry", with_body(_geometry(desk)), methods=["POST"]),
        Route(f"{tile}/input.png", _input(desk)),
        Route(f"{tile}/maps", _maps(desk)),
        Route(f"{tile}/marks", _marks(desk)),
        Route(f"{tile}/marks", with_body(_change(desk)), methods=["POST"]),
        Route(f"{tile}/import", with_body(_import(desk)), methods=["POST"]),
        Route(f"{tile}/agreement", _agreement(desk)),
        Route(f"{base}/export", _export(desk)),
        Route(f"{base}/live", _live(desk)),
    ]


Handler = Callable[[Request], Response]
BodyHandler = Callable[[Request, bytes], Response]


def _overview(desk: Desk) -> Handler:
    def handler(request: Request) -> Response:
        run = desk.run(request)
        reader = reader_of(request) if request.query_params.get("reader") else None
        return answer(overview(run, desk.tiles, desk.annotations(run), reader))

    return handler


def _classes(desk: Desk) -> BodyHandler:
    def handler(request: Request, body: bytes) -> Response:
        annotations = desk.annotations(desk.run(request))
        return answer(write_classes(annotations.readers, json_of(body)).model_dump())

    return handler


def _geometry(desk: Desk) -> BodyHandler:
    def handler(request: Request, body: bytes) -> Response:
        desk.run(request)
        return answer({"geometry": combine(json_of(body))})

    return handler


def _input(desk: Desk) -> Handler:
    def handler(request: Request) -> Response:
        run, tile = desk.tile(request)
        return Response(desk.tiles.input_png(run, tile), media_type="image/png")

    return handler


def _maps(desk: Desk) -> Handler:
    def handler(request: Request) -> Response:
        run, tile = desk.tile(request)
        frame = desk.tiles.frame(run, tile)
        with desk.folders.open(request.path_params["run"]) as reader:
            layers = layers_of(reader, frame)
        columns = {
            layer["name"]: frame.attention[layer["name"]][tile.kept.position] for layer in layers
        }
        return arrays({"layers": layers}, columns)

    return handler


def _marks(desk: Desk) -> Handler:
    def handler(request: Request) -> Response:
        run, tile = desk.tile(request)
        reader, annotations = reader_of(request), desk.annotations(run)
        if request.query_params.get("others") != "true":
            return answer_marks(marks(annotations, reader, tile.name))
        refuse_other_sites(request)
        return answer_marks(marks_with_others(annotations, reader, tile.name))

    return handler


def _change(desk: Desk) -> BodyHandler:
    def handler(request: Request, body: bytes) -> Response:
        run, tile = desk.tile(request)
        reader, annotations = reader_of(request), desk.annotations(run)
        ops = read_ops(json_of(body))
        if not ops:
            raise PageError(422, "No operation was given.")
        colors = read_classes(annotations.readers.folder).colors()
        document = annotations.change(
            reader,
            tile.name,
            lambda before, at: apply_ops(before, ops, at=at, colors=colors),
        )
        return answer_marks(document_facts(reader, tile.name, document))

    return handler


def _import(desk: Desk) -> BodyHandler:
    def handler(request: Request, body: bytes) -> Response:
        run, tile = desk.tile(request)
        reader, annotations = reader_of(request), desk.annotations(run)
        colors = read_classes(annotations.readers.folder).colors()
        importing = Importing(json_of(body), colors, desk.tiles.shape(run, tile))
        document = annotations.change(reader, tile.name, importing.change)
        facts = document_facts(reader, tile.name, document)
        return answer_marks({**facts, "imported": importing.imported, "faults": importing.faults})

    return handler


def _agreement(desk: Desk) -> Handler:
    def handler(request: Request) -> Response:
        run, tile = desk.tile(request)
        others = request.query_params.get("others") == "true"
        if others:
            refuse_other_sites(request)
        asking = Asking(run, tile, reader_of(request), others)
        return answer(agreement(asking, desk.tiles, desk.annotations(run)))

    return handler


def _export(desk: Desk) -> Handler:
    def handler(request: Request) -> Response:
        run, reader = desk.run(request), reader_of(request)
        annotations = desk.annotations(run)
        name = request.query_params.get("tile")
        if name:
            tile = desk.tiles.find(run, name).name
            data = export_tile(annotations, reader, tile)
            headers = {"Content-Disposition": f'attachment; filename="{tile}.geojson"'}
            return Response(data, media_type="application/geo+json", headers=headers)
        pieces = export_all(annotations, reader, list(desk.tiles.listed(run)))
        named = quote(f"{request.path_params['run']} {reader}.zip", safe="")
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{named}"}
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    return handler


def _live(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def handler(request: Request) -> Response:
        run = await run_in_threadpool(desk.run, request)
        watch = Watch(
            folders=desk.folders,
            tiles=desk.tiles,
            annotations=desk.annotations(run),
            run=request.path_params["run"],
            reader=reader_of(request),
        )
        return stream(lambda closing: events_of(watch, closing))

    return handler
