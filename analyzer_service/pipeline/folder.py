"""The folder of a run: made, or taken up again, and held by one analyzer at a time."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from analyzer_service.commit.database import StoreError, holds_run, open_reader, run_database
from analyzer_service.sinks.frames import FOLDER as FRAMES
from shared.errors import ConfigurationError
from shared.messages import RunStarted
from shared.naming import run_folder_name


class FolderLock:
    """Holds a run's folder against other analyzers; the kernel lets go when this process ends.

    Raises
    ------
    ConfigurationError
        If another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise ConfigurationError(
                f"{folder} is being written by another analyzer: wait until it ends, or choose "
                "another --output-dir"
            ) from error

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)

    @contextmanager
    def released_on_error(self) -> Iterator[None]:
        """Let go if what is done meanwhile fails."""
        try:
            yield
        except BaseException:
            self.release()
            raise


def is_held(folder: Path) -> bool:
    """Tell whether an analyzer of this machine holds `folder`, as far as the kernel shows it.

    Looked up, not tried: a lock that is tried would keep out an analyzer that comes just then.
    """
    try:
        inode = str(folder.stat().st_ino)
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return False
    fields = [line.split() for line in locks.splitlines()]
    return any("FLOCK" in each and each[-3].rpartition(":")[2] == inode for each in fields)


def claim_folder(output_dir: Path, started: RunStarted) -> tuple[Path, FolderLock]:
    """Folder of the run inside `output_dir`, made if it is not there, and the hold on it.

    Raises
    ------
    ConfigurationError
        If it cannot be written, or holds anything else than this run or its recordings.
    StoreError
        If the disk takes no more now.
    """
    folder = output_dir / run_folder_name(started.run_name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(f"{folder} cannot be made: {error.strerror}") from error
        raise ConfigurationError(
            f"{folder} cannot be made ({error.strerror}): choose another --output-dir"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"{folder} is not writable: choose another --output-dir")
    lock = FolderLock(folder)
    try:
        _check_content(folder, started)
        _sweep(folder)
    except BaseException:
        lock.release()
        raise
    return folder, lock


def _check_content(folder: Path, started: RunStarted) -> None:
    if run_database(folder).exists():
        held = _run_id(folder)
        if held not in (None, started.run_id):
            raise ConfigurationError(
                f"{folder} holds another run ({held}): choose another --run-name or "
                "--output-dir, or move that folder away"
            )
        return
    foreign = [entry.name for entry in folder.iterdir() if entry.suffix != ".mcap"]
    if foreign:
        raise ConfigurationError(
            f"{folder} exists and holds no run ({sorted(foreign)[0]} is in it): choose another "
            "--run-name or --output-dir, or move that folder away"
        )


def _sweep(folder: Path) -> None:
    """Delete half-written files of processes that were killed; nobody else writes here now."""
    for path in (*folder.glob(".*.tmp"), *(folder / FRAMES).glob(".*.tmp")):
        path.unlink(missing_ok=True)


def _run_id(folder: Path) -> str | None:
    """Run that the database belongs to; None if its making was cut short."""
    if not holds_run(folder):
        return None
    with closing(open_reader(folder)) as connection:
        found = connection.execute("SELECT value FROM state WHERE key = 'run_id'").fetchone()
    return None if found is None else str(found[0])
