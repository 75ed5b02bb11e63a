"""Commands that a user can copy from what we print."""

import shlex
import sys
from pathlib import Path


def command(package: str, *arguments: str | Path) -> str:
    """Shell line that runs ``python -m package`` with the Python that runs now.

    Examples
    --------
    >>> command("trainer", "--run-name", "two words").endswith("-m trainer --run-name 'two words'")
    True
    """
    return shlex.join([_python(), "-m", package, *map(str, arguments)])


def _python() -> str:
    """The interpreter as short as it works from here: relative to this folder if below it."""
    executable = Path(sys.executable)
    here = Path.cwd()
    return str(executable.relative_to(here) if executable.is_relative_to(here) else executable)
