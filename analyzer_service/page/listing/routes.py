"""``GET /api/runs``, ``GET /api/runs/{run}`` and ``PATCH /api/runs/{run}``."""

import json
import time
from dataclasses import asdict
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from analyzer_service.page.answers import PageError, answer, failure
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.listing.marks import ConflictError, Marks, change_marks
from analyzer_service.page.listing.runs import RunList

_LONGEST_BODY: Final = 1 << 17
_CHANGED_MEANWHILE: Final = (
    "Somebody else changed this run's tags or note meanwhile, in another tab perhaps."
)


def routes(folders: RunFolders) -> list[Route]:
    """Routes of the list of runs."""
    listed = RunList(folders)

    def runs(_: Request) -> Response:
        return answer(
            {
                "output_dir": str(folders.output_dir.resolve()),
                "output_dir_name": folders.output_dir.resolve().name,
                "now": time.time(),
                "runs": listed.entries(),
            }
        )

    def run(request: Request) -> Response:
        return answer(listed.entry(request.path_params["run"]))

    async def change(request: Request) -> Response:
        content = await _json_of(request)
        return await run_in_threadpool(_change, folders, request.path_params["run"], content)

    return [
        Route("/api/runs", runs),
        Route("/api/runs/{run}", run),
        Route("/api/runs/{run}", change, methods=["PATCH"]),
    ]


def _change(folders: RunFolders, name: str, content: Any) -> Response:
    try:
        return answer(_said(change_marks(folders.find(name), content)))
    except ConflictError as conflict:
        return failure(409, _CHANGED_MEANWHILE, current=_said(conflict.marks))


def _said(marks: Marks) -> dict[str, Any]:
    return asdict(marks)


async def _json_of(request: Request) -> Any:
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_BODY:
                raise PageError(413, "This is too much for tags and a note.")
    except ClientDisconnect as error:
        raise PageError(400, "The request ended before all of it had come.") from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PageError(400, "The request holds no JSON.") from error
