"""Requests: bodies of bounded size, and handlers that read and write files in threads."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from analyzer_service.page.annotating.document import load_json
from analyzer_service.page.answers import PageError

LARGEST_BODY: Final = 8 << 20


def with_body(
    handler: Callable[[Request, bytes], Response],
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that reads a body of 8 MiB at most, then answers in a thread."""

    async def endpoint(request: Request) -> Response:
        body = await _body(request)
        return await run_in_threadpool(_unnested, handler, request, body)

    return endpoint


def json_of(body: bytes) -> Any:
    """JSON of a request.

    Raises
    ------
    PageError
        422, if it is none.
    """
    try:
        return load_json(body)
    except ValueError as error:
        raise PageError(422, f"This is no JSON: {str(error)[:200]}") from error


def answer_marks(facts: Mapping[str, Any]) -> Response:
    """Marks as JSON: their many numbers are finite, so none is looked at."""
    text = json.dumps(facts, allow_nan=False, separators=(",", ":"))
    return Response(text, media_type="application/json")


def refuse_other_sites(request: Request) -> None:
    """A look that is put on record must come from this page, not from another site's picture.

    Raises
    ------
    PageError
        403, if the browser says that it does not.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise PageError(403, "Only this page itself may ask for others' marks.")


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > LARGEST_BODY:
                raise PageError(
                    413, f"More than {LARGEST_BODY >> 20} MiB at once: send less, or simplify."
                )
            parts.append(part)
    except ClientDisconnect as error:
        raise PageError(400, "The request ended before all of it had come.") from error
    return b"".join(parts)


def _unnested(
    handler: Callable[[Request, bytes], Response], request: Request, body: bytes
) -> Response:
    try:
        return handler(request, body)
    except RecursionError as error:
        raise PageError(422, "This is nested too deeply.") from error
