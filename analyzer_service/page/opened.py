"""What a run's database was when it was opened: is it still the same?"""

import os
from dataclasses import dataclass
from pathlib import Path

from analyzer_service.commit.database import has_index, has_log, run_database


@dataclass(frozen=True, slots=True)
class Opened:
    """What a database was when it was opened.

    One that is read `alone`, without the log of a writer (`open_unchanged`), is never looked at
    again by SQLite itself: any change of its files means that it is to be opened anew.
    """

    alone: bool
    file: tuple[int, ...]

    @classmethod
    def of(cls, folder: Path) -> "Opened":
        """The database of `folder`, about to be opened; raises `OSError` where there is none."""
        alone = not has_log(folder)
        return cls(alone, _file(run_database(folder), alone))

    def holds(self, folder: Path) -> bool:
        """Whether what was opened is still what the folder has."""
        try:
            same = _file(run_database(folder), self.alone) == self.file
        except OSError:
            return False
        return same and not (self.alone and has_log(folder))


def _file(path: Path, alone: bool) -> tuple[int, ...]:
    at = os.stat(path)
    # Without an index at hand SQLite looks at no other's: once there is one, open anew.
    identity = (at.st_dev, at.st_ino, alone or has_index(path.parent))
    return (*identity, at.st_size, at.st_mtime_ns) if alone else identity
