"""The application: every part's routes, behind one door."""

from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from analyzer_service.page import dashboards, health, listing, ready, shell
from analyzer_service.page.access import Access, guard
from analyzer_service.page.annotating import routes as annotating
from analyzer_service.page.answers import PageError, failure
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.settings import STATIC, PageSettings, check_built
from analyzer_service.page.tiles import routes as tiles
from analyzer_service.page.watching import live, series, side_by_side
from shared.errors import SidelightError

_EXPECTED: Final = (PageError, SidelightError, HTTPException, Exception)


def build_app(settings: PageSettings) -> Starlette:
    """The page as an ASGI application.

    Raises
    ------
    ConfigurationError
        If its scripts were not built.
    """
    check_built()
    folders = RunFolders(settings.output_dir)
    watchers = live.Watchers(folders)
    return Starlette(
        routes=[
            *ready.routes(settings.output_dir),
            *shell.routes(folders),
            *listing.routes(folders),
            *health.routes(folders),
            *tiles.routes(folders),
            *dashboards.routes(folders),
            *annotating.routes(folders),
            *live.routes(watchers),
            *series.routes(folders, watchers),
            *side_by_side.routes(folders),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
        ],
        middleware=[
            Middleware(Access, token=settings.token),
            Middleware(GZipMiddleware, minimum_size=2048, compresslevel=5),
        ],
        exception_handlers=dict.fromkeys(_EXPECTED, _tell),
    )


async def _tell(request: Request, error: Exception) -> Response:
    """What went wrong: JSON for scripts, a page for people."""
    status, sentence = _in_words(error)
    path = request.scope["path"]
    of_script = path.startswith("/api/")
    said = failure(status, sentence) if of_script else shell.error_page(request, status, sentence)
    guard(said.headers, path)  # what nobody expected is answered for outside of `Access`
    return said


def _in_words(error: Exception) -> tuple[int, str]:
    """HTTP status and a sentence; of an error that nobody expected only its kind."""
    if isinstance(error, PageError):
        return error.status, error.sentence
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    if isinstance(error, SidelightError):
        return 409, str(error)
    return 500, f"The page failed ({type(error).__name__}); its log says more."
