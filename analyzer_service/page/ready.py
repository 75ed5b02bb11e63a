"""``/readyz``: whether the page can show runs now. ``/healthz`` only says that it answers."""

import os
from pathlib import Path
from typing import Final

from anyio import CancelScope, move_on_after, to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analyzer_service.checks import Check, all_ok, in_words
from analyzer_service.page.answers import answer

PATH: Final = "/readyz"
_PATIENCE_S: Final = 3.0


def routes(output_dir: Path) -> list[Route]:
    """Route of the checks; nothing that they say is a secret, so no token is asked for."""

    async def ready(request: Request) -> Response:
        threads = _threads()
        folder = await _folder(output_dir) if threads.ok else Check("folder")
        checks = [_ending(request), threads, folder]
        return answer(in_words(checks), 200 if all_ok(checks) else 503)

    return [Route(PATH, ready)]


def _ending(request: Request) -> Check:
    if not getattr(request.app.state, "ending", False):
        return Check("draining")
    return Check("draining", "the page ends", "wait for its next start")


def _threads() -> Check:
    """Requests are answered by a number of threads, which a disk may hold up."""
    pool = to_thread.current_default_thread_limiter()
    if pool.available_tokens > 0:
        return Check("threads")
    why = f"all {pool.total_tokens:.0f} threads are busy"
    return Check("threads", why, "wait; if it stays so, see whether the disk of the runs answers")


async def _folder(output_dir: Path) -> Check:
    to_do = "see that the folder of --output-dir is there, mounted and readable"
    scope: CancelScope
    with move_on_after(_PATIENCE_S) as scope:
        why = await to_thread.run_sync(_unreadable, output_dir, abandon_on_cancel=True)
        return Check("folder", why, to_do) if why else Check("folder")
    assert scope.cancelled_caught
    why = f"the output folder does not answer within {_PATIENCE_S:.0f} s"
    return Check("folder", why, to_do)


def _unreadable(folder: Path) -> str:
    """Why the folder cannot be listed; empty if it can."""
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError as error:
        return f"the output folder cannot be read: {os.strerror(error.errno or 0)}"
    return ""
