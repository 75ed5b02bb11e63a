"""What people noted of a run: tags, a note, whether it is put away.

They are kept in the run's ``annotations/`` folder, in a file that is none of annotations.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from analyzer_service.page.annotating import durable
from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import inside, open_regular
from analyzer_service.sinks.replacing import replacing
from shared.errors import SinkError

FILE: Final = "annotations/run.page"
"""Not named as annotations are (.geojson, .json, .jsonld): those are looked for in this folder."""
MOST_TAGS: Final = 20
LONGEST_TAG: Final = 50
LONGEST_NOTE: Final = 10_000
_LARGEST_FILE: Final = 1 << 18

Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TAG)]


@dataclass(frozen=True, slots=True)
class Marks:
    """What people noted of a run; `version` counts the changes, 0 where there was none yet."""

    tags: tuple[str, ...] = ()
    note: str = ""
    archived: bool = False
    version: int = 0


class Change(BaseModel):
    """What to change of the marks of `version`; what is None stays."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=0)]
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS)] | None = None
    note: Annotated[str, Field(max_length=LONGEST_NOTE)] | None = None
    archived: bool | None = None


class ConflictError(Exception):
    """The marks were changed by somebody else meanwhile; `marks` are as they are now."""

    def __init__(self, marks: Marks) -> None:
        super().__init__("the marks are of another version")
        self.marks = marks


def read_marks(folder: Path) -> Marks:
    """Marks of the run in `folder`; none where there are none, or where they are no such file."""
    path = folder / FILE
    try:
        with open_regular(path, folder) as file:
            content = file.read(_LARGEST_FILE + 1)
        return Marks() if len(content) > _LARGEST_FILE else _checked(json.loads(content))
    except (OSError, ValueError, RecursionError):
        return Marks()


def change_marks(folder: Path, content: Any) -> Marks:
    """Change the marks of the run in `folder` as a request says; returns them as they are now.

    Raises
    ------
    PageError
        400 for what is no change, 403 where nothing can be written, 503 where another page holds
        the marks for long.
    ConflictError
        If the change is of another version than the marks have.
    """
    change = _change(content)
    with _held(folder):
        marks = read_marks(folder)
        if change.version != marks.version:
            raise ConflictError(marks)
        fields = change.model_dump(exclude={"version"}, exclude_none=True)
        if "tags" in fields:
            fields["tags"] = tuple(dict.fromkeys(fields["tags"]))
        changed = replace(marks, **fields, version=marks.version + 1)
        _write(folder, changed)
    return changed


def _checked(content: Any) -> Marks:
    change = Change.model_validate(content)
    return Marks(tuple(change.tags or ()), change.note or "", bool(change.archived), change.version)


def _change(content: Any) -> Change:
    try:
        return Change.model_validate(content)
    except ValidationError as error:
        where = {str(each["loc"][0]) if each["loc"] else "" for each in error.errors()}
        raise PageError(400, _LIMITS.get(min(where), "This is no change of a run.")) from error


_LIMITS: Final = {
    "tags": f"A run has at most {MOST_TAGS} tags, each of 1 to {LONGEST_TAG} characters.",
    "note": f"A note has at most {LONGEST_NOTE:,} characters.",
}


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep others from changing the marks meanwhile, in this process and in others."""
    annotations = (folder / FILE).parent
    try:
        if not inside(annotations, folder):
            raise PageError(403, "The run's annotations folder leads out of the run's folder.")
        annotations.mkdir(exist_ok=True)
        descriptor = os.open(annotations, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unwritable(error.strerror) from error
    try:
        durable.take(descriptor, annotations)
        for left in annotations.glob(f".{Path(FILE).name}.*.tmp"):  # of a page that was killed
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def _write(folder: Path, marks: Marks) -> None:
    try:
        with replacing(folder / FILE) as file:
            json.dump(asdict(marks), file, ensure_ascii=False, indent=1)
    except SinkError as error:
        cause = error.__cause__
        raise _unwritable(getattr(cause, "strerror", None)) from error


def _unwritable(why: str | None) -> PageError:
    return PageError(
        403,
        f"The run's folder cannot be written ({why or 'unknown'}), so tags and notes cannot be "
        "kept. Everything can be looked at all the same.",
    )
