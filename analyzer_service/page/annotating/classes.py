"""The classes that a run's readers mark, with their colors; all readers of a run have the same."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from analyzer_service.annotations.items import in_words
from analyzer_service.clinical.interface import task_list
from analyzer_service.clinical.matching import CLASSES_FILE
from analyzer_service.page.annotating import durable
from analyzer_service.page.annotating.readers import ReaderFolders
from analyzer_service.page.answers import PageError

PALETTE: Final = (
    *((213, 94, 0), (0, 114, 178), (240, 228, 66), (0, 158, 115), (86, 180, 233), (230, 159, 0)),
    *((204, 121, 167), (0, 0, 0)),
)
"""Told apart by people who are color-blind: M. Okabe and K. Ito, Color Universal Design, 2008."""
DEFAULTS: Final = ("tumor", "stroma", "necrosis", "lymphocytes", "nucleus", "other")
MOST_CLASSES: Final = 20

_Channel = Annotated[int, Field(strict=True, ge=0, le=255)]
_Name = Annotated[
    str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=100)
]


class Class(BaseModel):
    """One class: its name and its color (red, green, blue)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: _Name
    color: tuple[_Channel, _Channel, _Channel]


class Classes(BaseModel):
    """The classes of a run, in their order."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    classes: Annotated[tuple[Class, ...], Field(min_length=1, max_length=MOST_CLASSES)]

    def colors(self) -> dict[str, tuple[int, int, int]]:
        """Colors by name."""
        return {each.name: each.color for each in self.classes}


def read_classes(folder: Path) -> Classes:
    """Classes in ``annotations``: those that were set, else the task list's, else the defaults."""
    try:
        found = durable.read(folder / CLASSES_FILE)
        if found is not None:
            return Classes.model_validate_json(found[0])
    except (PageError, ValidationError):
        pass  # a file that was spoiled by hand must not keep anybody from marking
    named = [name for name in task_list(folder).classes if 1 <= len(name.strip()) <= 100]
    return _of_names(list(dict.fromkeys(named))[:MOST_CLASSES] or list(DEFAULTS))


def write_classes(readers: ReaderFolders, content: Any) -> Classes:
    """Set the classes.

    Raises
    ------
    PageError
        422, if they are none; 403, 409, 503 or 507, if they cannot be written.
    """
    try:
        classes = Classes.model_validate(content)
    except ValidationError as error:
        raise PageError(422, in_words(error)) from error
    if len(classes.colors()) != len(classes.classes):
        raise PageError(422, "Two classes have one name.")
    data = json.dumps(classes.model_dump(mode="json"), indent=1).encode()
    readers.make_root()
    path = readers.folder / CLASSES_FILE
    with durable.locked(readers.folder):
        durable.replace(path, data, read_as=durable.signature(path), before=lambda: None)
    return classes


def _of_names(names: list[str]) -> Classes:
    return Classes(
        classes=tuple(
            Class(name=name, color=PALETTE[number % len(PALETTE)])
            for number, name in enumerate(names)
        )
    )
