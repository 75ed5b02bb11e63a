"""The HTML that a browser gets first: a frame that the scripts fill, or an error in words."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from analyzer_service.page.folders import RunFolders

# Starlette's own environment goes by a file's suffix, and does not escape what ends in .j2.
_TEMPLATES: Final = Jinja2Templates(
    env=Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
)


def routes(folders: RunFolders) -> list[Route]:
    """Routes of every page that people open."""

    def runs(request: Request) -> Response:
        return _page(request, "runs", "Runs", {})

    def run(request: Request) -> Response:
        name = request.path_params["run"]
        folders.find(name)
        return _page(request, "run", name, {"run": name})

    def annotate(request: Request) -> Response:
        name = request.path_params["run"]
        folders.find(name)
        return _page(request, "annotate", f"{name} · Annotate", {"run": name})

    def compare(request: Request) -> Response:
        return _page(request, "compare", "Compare runs", {})

    return [
        Route("/", runs),
        Route("/compare", compare),
        Route("/runs/{run}", run),
        Route("/runs/{run}/annotate", annotate),
    ]


def error_page(request: Request, status: int, sentence: str) -> Response:
    """An error in words, with a way back."""
    context = {"title": "Not found" if status == 404 else f"Error {status}", "sentence": sentence}
    return _TEMPLATES.TemplateResponse(request, "error.html.j2", context, status_code=status)


def _page(request: Request, script: str, title: str, data: dict[str, str]) -> Response:
    context = {"title": title, "script": script, "data": data}
    return _TEMPLATES.TemplateResponse(request, "page.html.j2", context)
