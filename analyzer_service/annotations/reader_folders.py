"""Folders of readers whose names are anything: each has its own, and says whose it is."""

import os
import re
import unicodedata
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from analyzer_service.annotations.tile_names import tile_name

NAME_FILE: Final = "reader.txt"
"""In a reader's folder: the name as it was typed."""
LONGEST_NAME: Final = 80
NOT_A_READER: Final = "consensus"
"""What the readers hold together is called so."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_HASHED: Final = re.compile(r".*-[0-9a-f]{16}", re.DOTALL)
_RESERVED: Final = re.compile(rf"con|prn|aux|nul|com\d|lpt\d|{NOT_A_READER}", re.IGNORECASE)
_UNSEEN: Final = ("Cc", "Cs", "Zl", "Zp")
_LARGEST: Final = 1024


def reader_name(given: str) -> str:
    """A name as it is compared: composed characters, no spaces around.

    Raises
    ------
    ValueError
        If it has not 1 to 80 characters, or holds some that cannot be seen; says so.

    Examples
    --------
    >>> reader_name(" Dr. Mu\u0308ller ") == "Dr. M\u00fcller"
    True
    """
    name = unicodedata.normalize("NFC", given).strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ValueError(f"give the reader's name, 1 to {LONGEST_NAME} characters")
    if any(unicodedata.category(character) in _UNSEEN for character in name):
        raise ValueError("the reader's name holds characters that cannot be seen")
    return name


def new_folder_name(name: str, taken: set[str]) -> str:
    """What to call a new folder of reader `name`.

    The name itself, where it may be a folder's on every file system and none of `taken` (names
    with their case folded) is the same; else what is left of it, with a hash.

    Examples
    --------
    >>> new_folder_name("Anna", set()), new_folder_name("anna", {"anna"})
    ('Anna', 'anna-d04474cc4b844a8c')
    """
    plain = (
        _PLAIN.fullmatch(name) is not None
        and _RESERVED.fullmatch(name) is None
        and _HASHED.fullmatch(name) is None
    )
    return name if plain and name.casefold() not in taken else hashed(name)


def hashed(name: str) -> str:
    """A folder's name that no other reader gets, good on every file system.

    Examples
    --------
    >>> hashed("../../etc"), hashed("CON")
    ('etc-58656856ff19798a', 'CON-1bc43d851d28ada0')
    """
    digest = blake2b(name.encode(), digest_size=8).hexdigest()
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")[:40] or "reader"
    return f"{plain}-{digest}"


def owners(folder: Path) -> dict[str, Path]:
    """Folders of readers in a folder, by reader, sorted by name; links are none.

    A folder that was made by hand, or for the task list, is its own name's.
    """
    found = {_owner(place): place for place in _places(folder)}
    return {name: found[name] for name in sorted(found) if name}


def made_by_page(folder: Path) -> bool:
    """Whether the live page made a reader's folder."""
    return (folder / NAME_FILE).is_file()


def _places(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
            yield Path(entry.path)


def _owner(folder: Path) -> str:
    """Whose folder it is; nobody's ("") if it cannot be told."""
    own, name = folder.name, _said(folder / NAME_FILE)
    if name and own in (name, hashed(name)):
        return name
    by_hand = tile_name(own) == own and own != NOT_A_READER and _HASHED.fullmatch(own) is None
    return own if by_hand and len(own) <= LONGEST_NAME else ""


def _said(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return reader_name(file.read(_LARGEST).decode())
    except (OSError, ValueError):
        return ""
