"""One own analysis in a worker process."""

from dataclasses import dataclass
from typing import Any

from analyzer_service.own.hooks import run_hooks
from analyzer_service.own.source import OwnSource, load
from analyzer_service.own.wording import described
from shared.codec import Buffer, decode_payload
from shared.messages import BatchFrame


@dataclass(frozen=True, slots=True)
class OwnCall:
    """Which class is called, and with the row of which batch."""

    source: OwnSource
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OwnReply:
    """Numbers under their names in a row, or what went wrong."""

    numbers: dict[str, float] | None = None
    error: str | None = None


def run_own(payload: Buffer, call: OwnCall) -> OwnReply:
    """Numbers of a frame that is known to be sound; whatever goes wrong is said in the reply."""
    frame = decode_payload(payload)
    assert isinstance(frame, BatchFrame), "it was analyzed before"
    try:
        return OwnReply(numbers=run_hooks(load(call.source), call.row, frame))
    except (Exception, SystemExit) as error:  # the stage's edge: it counts as a failure
        return OwnReply(error=described(error, call.source.folder))
