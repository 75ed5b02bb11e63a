"""The runs in the output folder, by name; nothing outside of the folder is ever opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from analyzer_service.commit.reader import RunReader, run_database
from analyzer_service.page.answers import PageError
from shared.errors import ConfigurationError

PREFIX: Final = "auto_analysis_"


class RunFolders:
    """Folders ``auto_analysis_{run}`` of an output folder.

    A run is found by comparing names with what the folder lists, so no request is ever a path.
    """

    def __init__(self, output_dir: Path) -> None:
        self.output_dir = output_dir

    def names(self) -> list[str]:
        """Names of the runs, sorted; none where the output folder cannot be listed."""
        return sorted(self._listed())

    def find(self, name: str) -> Path:
        """Folder of run `name`.

        Raises
        ------
        PageError
            404, if there is none.
        """
        folder = self._listed().get(name)
        if folder is None:
            raise PageError(
                404, f"There is no run {name!r} here. It may have been moved or deleted."
            )
        return folder

    @contextmanager
    def open(self, name: str) -> Iterator[RunReader]:
        """Run `name`, opened to be read; the folder stays as it is.

        Raises
        ------
        PageError
            404, if there is none; 409, if it cannot be read: the sentence says why.
        """
        folder = self.find(name)
        try:
            reader = RunReader(folder, unchanged=True)
        except ConfigurationError as error:
            raise PageError(409, f"This run cannot be read: {error}") from error
        with reader:
            yield reader

    def _listed(self) -> dict[str, Path]:
        root = self.output_dir.resolve()
        try:
            entries = list(root.iterdir())
        except OSError:
            return {}
        return {
            entry.name.removeprefix(PREFIX): entry
            for entry in entries
            if entry.name.startswith(PREFIX) and _is_run(entry, root)
        }


def inside(path: Path, folder: Path) -> bool:
    """Whether `path`, its links followed, lies in `folder`."""
    return path.resolve().is_relative_to(folder.resolve())


def _is_run(entry: Path, root: Path) -> bool:
    database = run_database(entry)
    return database.is_file() and inside(database, root)
