"""Answers of the HTTP server: `/metrics`, `/healthz`, `/readyz`, and short refusals of all else."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from analyzer_service.checks import all_ok, in_words
from analyzer_service.metrics.collector import make_registry, render
from analyzer_service.metrics.readiness import Readiness
from analyzer_service.metrics.snapshot import Board
from analyzer_service.workers.pool import WorkerCounts

_REQUEST: Final = re.compile(rb"([A-Z]{1,16}) (/[^ ?#]*)(?:[?#][^ ]*)? HTTP/1\.[01]")
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_TEXT_TYPE: Final = "text/plain; charset=utf-8"
_JSON_TYPE: Final = "application/json"
_RENDERED_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: HTTPStatus
    body: bytes
    content_type: str = _TEXT_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, *, with_body: bool = True) -> bytes:
        """Bytes of the whole response."""
        lines = {
            "Content-Type": self.content_type,
            "Content-Length": str(len(self.body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
            **self.headers,
        }
        head = f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return head.encode("ascii") + b"\r\n" + (self.body if with_body else b"")


class Pages:
    """Makes answers from what the ingest loop left on `board`; never asks the loop itself.

    `workers` counts them, if they are to be told of.

    Metrics are rendered once a second at most, however many ask.

    Parameters
    ----------
    board : Board
        Where the loop leaves what it counts.
    readiness : Readiness, optional
        What ``/readyz`` goes by; by the board alone when left out.
    """

    def __init__(
        self,
        board: Board,
        readiness: Readiness | None = None,
        workers: Callable[[], WorkerCounts] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._readiness = readiness or Readiness(board)
        self._registry = make_registry(board, workers)
        self._clock = clock
        self._rendered = b""
        self._rendered_at = float("-inf")

    def answer(self, head: bytes) -> bytes:
        """Response to the head of a request, whatever its bytes are."""
        line, _, _ = head.partition(b"\r\n")
        request = _REQUEST.fullmatch(line)
        if request is None:
            return _refusal(HTTPStatus.BAD_REQUEST).encode()
        method, path = request[1], request[2]
        if method not in (b"GET", b"HEAD"):
            refusal = _refusal(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
            return refusal.encode()
        return self._page(path).encode(with_body=method == b"GET")

    def too_long(self) -> bytes:
        """Response to a request whose head does not end."""
        return _refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE).encode()

    def _page(self, path: bytes) -> Answer:
        if path == b"/metrics":
            return Answer(HTTPStatus.OK, self._metrics(), _METRICS_TYPE)
        if path == b"/healthz":
            return self._health()
        if path == b"/readyz":
            return self._ready()
        return _refusal(HTTPStatus.NOT_FOUND, "there are /metrics, /healthz and /readyz")

    def _metrics(self) -> bytes:
        now = self._clock()
        if now - self._rendered_at >= _RENDERED_S:
            self._rendered, self._rendered_at = render(self._registry), now
        return self._rendered

    def _health(self) -> Answer:
        troubles = self._board.troubles()
        if troubles:
            body = {"status": "failing", "reasons": troubles}
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, _json(body), _JSON_TYPE)
        return Answer(HTTPStatus.OK, _json({"status": "ok"}), _JSON_TYPE)

    def _ready(self) -> Answer:
        checks = self._readiness.checks()
        status = HTTPStatus.OK if all_ok(checks) else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(status, _json(in_words(checks)), _JSON_TYPE)


def _refusal(status: HTTPStatus, why: str = "", **headers: str) -> Answer:
    text = f"{status.value} {status.phrase}{f': {why}' if why else ''}\n"
    return Answer(status, text.encode("ascii"), headers=headers)


def _json(body: object) -> bytes:
    return json.dumps(body).encode("ascii") + b"\n"
