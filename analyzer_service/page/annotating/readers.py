"""Readers' names and their folders: each has one of its own, whatever the name is."""

import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from analyzer_service.annotations.tile_names import tile_name
from analyzer_service.clinical.matching import CONSENSUS
from analyzer_service.page.annotating import durable
from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import inside

NAME_FILE: Final = "reader.txt"
"""In a reader's folder: the name as it was typed."""
LONGEST_NAME: Final = 80
MOST_READERS: Final = 200
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_HASHED: Final = re.compile(r".*-[0-9a-f]{16}", re.DOTALL)
_RESERVED: Final = re.compile(rf"con|prn|aux|nul|com\d|lpt\d|{CONSENSUS}", re.IGNORECASE)


def reader_name(given: str) -> str:
    """A name as it is compared: composed characters, no spaces around.

    Raises
    ------
    PageError
        422, if it is empty, too long, or holds what cannot be seen.
    """
    name = unicodedata.normalize("NFC", given).strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise PageError(422, f"Give the reader's name, 1 to {LONGEST_NAME} characters.")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise PageError(422, "The reader's name holds characters that cannot be seen.")
    return name


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
        self.folder = run / "annotations"
        self._root = root

    def owners(self) -> dict[str, Path]:
        """Folders by reader, sorted by name; a folder that was made by hand is its own name's."""
        if not self._is_usable(self.folder):
            return {}
        found = {_owner(place): place for place in self._places()}
        return {name: found[name] for name in sorted(found) if name}

    def find(self, name: str) -> Path | None:
        """Folder of reader `name`; None as long as nothing was written into one."""
        return self.owners().get(name)

    def make(self, name: str) -> Path:
        """Folder of reader `name`, made if there is none.

        Raises
        ------
        PageError
            403, 507 or 409, if it cannot be made.
        """
        if (found := self.find(name)) is not None:
            return found
        self.make_root()
        with durable.locked(self.folder):
            if (found := self.find(name)) is not None:
                return found
            taken = {entry.name.casefold() for entry in self.folder.iterdir()}
            if len(taken) > 10_000 or len(self.owners()) >= MOST_READERS:
                raise PageError(409, f"{MOST_READERS} readers have marks here: no more can join.")
            plain = _is_plain(name) and name.casefold() not in taken
            place = self.folder / (name if plain else hashed(name))
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
        if not self._is_usable(self.folder):
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
        except OSError:
            shutil.rmtree(making, ignore_errors=True)
            raise

    def _places(self) -> Iterator[Path]:
        try:
            entries = sorted(os.scandir(self.folder), key=lambda entry: entry.name)
        except OSError:
            return
        for entry in entries:
            hidden = entry.name.startswith(".")
            if not hidden and entry.is_dir() and self._is_usable(Path(entry.path)):
                yield Path(entry.path)

    def _is_usable(self, folder: Path) -> bool:
        return folder.is_dir() and inside(folder, self._root)


def hashed(name: str) -> str:
    """A folder's name that no other reader gets, good on every file system.

    Examples
    --------
    >>> hashed("../../etc"), hashed("CON")
    ('etc-72f83d9fd9f42af2', 'CON-1b8de3ccaddb5d5a')
    """
    digest = blake2b(name.encode(), digest_size=8).hexdigest()
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")[:40] or "reader"
    return f"{plain}-{digest}"


def _is_plain(name: str) -> bool:
    """Whether a folder can be called so on every file system, and be given to ``--reader``."""
    return (
        _PLAIN.fullmatch(name) is not None
        and _RESERVED.fullmatch(name) is None
        and _HASHED.fullmatch(name) is None
    )


def _owner(folder: Path) -> str:
    """Whose folder it is; nobody's ("") if it cannot be told."""
    own = folder.name
    try:
        found = durable.read(folder / NAME_FILE)
        name = reader_name(found[0].decode()) if found else ""
    except (PageError, UnicodeDecodeError):
        name = ""
    if name and own in (name, hashed(name)):
        return name
    by_hand = tile_name(own) == own and own != CONSENSUS and _HASHED.fullmatch(own) is None
    return own if by_hand and len(own) <= LONGEST_NAME else ""
