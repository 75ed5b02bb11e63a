"""What a request asks for, and what is read for it: a step's row, frame and facts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request

from analyzer_service.commit.kept_steps import FrameRow
from analyzer_service.commit.reader import RunReader
from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import RunFolders
from analyzer_service.page.tiles.frames import Frames, Step, find_row
from analyzer_service.page.tiles.layers import FrameLayer, layers_of
from shared.messages import BatchFrame, RunStarted

_DIGITS = 18


@dataclass(frozen=True, slots=True)
class ReadStep:
    """A step's row and frame, and the facts of the start of the run that it comes from."""

    reader: RunReader
    row: FrameRow
    frame: BatchFrame
    started: RunStarted

    @property
    def layers(self) -> list[FrameLayer]:
        """The frame's layers, the primary one first."""
        return layers_of(self.frame, self.started)

    def mpp(self, position: int) -> float | None:
        """Micrometers per pixel of a tile, as dashboards take it; None where it is not known."""
        return self.frame.samples[position].mpp or self.started.mpp


class StepReading:
    """Reads steps for requests whose path has ``{run}``, ``{phase}`` and ``{number}``."""

    def __init__(self, folders: RunFolders) -> None:
        self._folders = folders
        self._frames = Frames()

    @contextmanager
    def open(self, request: Request) -> Iterator[ReadStep]:
        """The step that a request names; ``?release=`` makes sure that it is the one seen.

        Raises
        ------
        PageError
            404 or 410, if it is not there, or not any more.
        """
        path = request.path_params
        release = whole_number(request, "release") if "release" in request.query_params else None
        step = Step(path["phase"], _whole(path["number"], "A step's number", 404), release)
        with self._folders.open(path["run"]) as reader:
            row = find_row(reader, step)
            frame = self._frames.read(reader.folder, row)
            yield ReadStep(reader, row, frame, reader.started(row.release))


def whole_number(request: Request, name: str, otherwise: int = 0) -> int:
    """A number of a request's query.

    Raises
    ------
    PageError
        400, if it is none.
    """
    return _whole(request.query_params.get(name, str(otherwise)), name)


def position_in(request: Request, frame: BatchFrame) -> int:
    """Place of the tile that a request names.

    Raises
    ------
    PageError
        404, if the frame has no such tile.
    """
    position = _whole(request.path_params["position"], "A tile's place", 404)
    if not 0 <= position < len(frame.samples):
        raise PageError(
            404, f"This step has {len(frame.samples)} tiles; there is no tile {position + 1}."
        )
    return position


def _whole(text: str, what: str, status: int = 400) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise PageError(status, f"{what} must be a whole number, got {text[:40]!r}.")
    return int(text)
