"""Commands of the analyzer, run to their end: the trainer imports nothing of it."""

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Final

from shared.errors import ConfigurationError

VARIABLE: Final = "SIDELIGHT_ANALYZER"
"""Names an own analysis (``module:Class``) for the analyzer that a trainer starts, too."""

_LIMIT_S: Final = 600.0


def check_own(analyzer: str | None) -> str | None:
    """`analyzer` (``module:Class``), or what the environment names; None if neither does.

    Raises
    ------
    ConfigurationError
        If it is named, and the analyzer says that it cannot be used.
    """
    own = analyzer or os.environ.get(VARIABLE)
    if own:
        ask_analyzer("check", own)
    return own or None


def ask_analyzer(*arguments: str) -> str:
    """What a command of the analyzer prints.

    Raises
    ------
    ConfigurationError
        If it is not installed here, fails, or takes more than ten minutes.
    """
    if find_spec("analyzer_service") is None:
        raise ConfigurationError(
            "analyzer_service is not installed here: pip install 'sidelight[analyzer]'"
        )
    try:
        done = subprocess.run(
            [sys.executable, "-m", "analyzer_service", *arguments],
            env=with_our_modules(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"the analyzer could not be asked: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ConfigurationError(said[-1].removeprefix("error: "))
    return done.stdout


def with_our_modules() -> dict[str, str]:
    """Environment of a process that finds every module that this one finds."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path}
