"""``GET /api/runs/{run}/health``."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analyzer_service.page.answers import answer
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.health.facts import health_of
from analyzer_service.page.health.noted import NotedHealth


def routes(folders: RunFolders) -> list[Route]:
    """Routes of the Health tab."""
    noted = NotedHealth()

    def health(request: Request) -> Response:
        with folders.open(request.path_params["run"]) as reader:
            return answer(health_of(reader, noted.of(reader.folder)))

    return [Route("/api/runs/{run}/health", health)]
