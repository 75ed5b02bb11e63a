"""Whether a class of the user's can be used, found out in a process that may come to harm."""

import os
from typing import Final

from analyzer_service.own.source import OwnSource, check_name, examine
from analyzer_service.workers.process import WorkerDiedError, WorkerProcess
from shared.errors import ConfigurationError

LIMIT_S: Final = 60.0


def check_analyzer(
    name: str | None, folder: str | None = None, *, limit_s: float = LIMIT_S
) -> OwnSource | None:
    """The class that `name` (``module:Class``) names, looked for in `folder` first.

    Parameters
    ----------
    name : str or None
        None for no own analysis.
    folder : str, optional
        The current one if not given.
    limit_s : float
        Longest time that importing and making it may take.

    Raises
    ------
    ConfigurationError
        If it cannot be used; the message says why on one line.
    """
    if name is None:
        return None
    process: WorkerProcess | None = None
    try:
        process = WorkerProcess()
        process.wait_ready()
        arguments = (check_name(name), folder or os.getcwd())
        outcome = process.run(examine, arguments, limit_s).outcome
    except (WorkerDiedError, OSError) as error:
        raise ConfigurationError(f"--analyzer {name}: as it was imported, {error}") from error
    finally:
        if process is not None:
            process.discard()
    found = outcome.value
    if isinstance(found, OwnSource):
        return found
    raise ConfigurationError(found or f"--analyzer {name}: as it was imported, {outcome.error}")


def check_timeout(seconds: float) -> float:
    """`seconds`, if it is a time limit; raises `ConfigurationError` if not."""
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"--analyzer-timeout {seconds}: give seconds above 0")
    return seconds
