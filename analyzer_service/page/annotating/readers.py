"""The folders that readers' marks are in: found by name, made once, never beyond the run."""

import secrets
import shutil
from pathlib import Path
from typing import Final

from analyzer_service.annotations.reader_folders import (
    NAME_FILE,
    new_folder_name,
    owners,
    reader_name,
)
from analyzer_service.clinical.interface import ANNOTATIONS_FOLDER
from analyzer_service.page.annotating import durable
from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import inside

MOST_READERS: Final = 200


def name_of_reader(given: str) -> str:
    """A reader's name as it is compared.

    Raises
    ------
    PageError
        422, if it can be none; says why.
    """
    try:
        return reader_name(given)
    except ValueError as error:
        sentence = str(error)
        raise PageError(422, f"{sentence[0].upper()}{sentence[1:]}.") from error


class ReaderFolders:
    """Folders of a run's readers, below its ``annotations``.

    Parameters
    ----------
    run : Path
        The run's folder.
    root : Path
        The output folder; nothing beyond it is read or written, whatever links say.
    """

    def __init__(self, run: Path, root: Path) -> None:
        self.folder = run / ANNOTATIONS_FOLDER
        self._root = root

    def owners(self) -> dict[str, Path]:
        """Folders by reader, sorted by name."""
        return owners(self.folder) if self._is_usable() else {}

    def find(self, name: str) -> Path | None:
        """Folder of reader `name`; None as long as nothing was written into one."""
        return self.owners().get(name)

    def make(self, name: str) -> Path:
        """Folder of reader `name`, made if there is none.

        Raises
        ------
        PageError
            403, 409, 503 or 507, if it cannot be made.
        """
        if (found := self.find(name)) is not None:
            return found
        self.make_root()
        with durable.locked(self.folder):
            known = self.owners()
            if name in known:
                return known[name]
            if len(known) >= MOST_READERS:
                raise PageError(409, f"{MOST_READERS} readers have marks here: no more can join.")
            taken = {entry.name.casefold() for entry in self.folder.iterdir()}
            place = self.folder / new_folder_name(name, taken)
            try:
                self._make(place, name)
            except OSError as error:
                raise durable.cannot("write", place, error) from error
            return place

    def make_root(self) -> None:
        """Make the folder that all others are in.

        Raises
        ------
        PageError
            As of `make`.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise durable.cannot("write", self.folder, error) from error
        if not self._is_usable():
            raise PageError(
                409, "The run's annotations folder is a link out of here: it is not followed."
            )

    def _make(self, place: Path, name: str) -> None:
        """A folder that has its name in it as soon as it can be seen."""
        for left in self.folder.glob(".new-*"):  # of a page that was killed
            shutil.rmtree(left, ignore_errors=True)
        making = self.folder / f".new-{secrets.token_hex(8)}"
        try:
            making.mkdir()
            durable.append(making / NAME_FILE, f"{name}\n".encode())
            making.rename(place)
            durable.sync_folder(self.folder)
        except (OSError, PageError):
            shutil.rmtree(making, ignore_errors=True)
            raise

    def _is_usable(self) -> bool:
        return self.folder.is_dir() and inside(self.folder, self._root)
