"""Streams of server-sent events, which end in order when the page does."""

from collections.abc import AsyncIterator, Callable
from typing import Final

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

FAREWELL_S: Final = 0.5


def stream(events: Callable[[anyio.Event], AsyncIterator[ServerSentEvent]]) -> Response:
    """An answer of the events that `events` makes, until it ends or is told that the page does.

    Parameters
    ----------
    events : callable
        Gets an event that is set as the page ends; it should then end within `FAREWELL_S`, or is
        cut off in mid-answer.
    """
    closing = anyio.Event()
    return EventSourceResponse(
        events(closing), sep="\n", shutdown_event=closing, shutdown_grace_period=FAREWELL_S
    )
