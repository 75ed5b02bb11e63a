"""Whether an analyzer is still at work on a run that has not ended."""

from pathlib import Path
from typing import Final

from analyzer_service.commit.database import run_database
from analyzer_service.pipeline.folder import is_held
from analyzer_service.sinks.health_file import FILE as HEALTH

QUIET_S: Final = 10.0


def silent_s(folder: Path, now: float) -> float | None:
    """Seconds since an analyzer last wrote anything there; None while one is at work.

    An analyzer of this machine holds its folder; one of another machine shows in its files: it
    notes its health every 2 s.

    Parameters
    ----------
    folder : Path
        The run's, which has not ended.
    now : float
        Unix time in seconds.
    """
    database = run_database(folder)
    signs = (database, database.with_name(f"{database.name}-wal"), folder / HEALTH)
    silent = now - max(map(_changed_at, signs))
    return None if silent < QUIET_S or is_held(folder) else silent


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
