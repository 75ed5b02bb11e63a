"""Flags from the command line, the environment and a file: flag > environment > file > default.

Each flag of ``python -m trainer`` and of the analyzer's commands may also be given as an
environment variable, ``SIDELIGHT_{COMMAND}_{FLAG}`` (`SIDELIGHT_TRAINER_BATCH_SIZE`), and in a TOML
file that ``--config`` or `SIDELIGHT_CONFIG` names, in a table for each command::

    [trainer]
    batch-size = 8

    [serve]
    workers = 2
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shared.errors import ConfigurationError

PREFIX: Final = "SIDELIGHT"
COMMANDS: Final = ("trainer", "serve", "replay", "page")
"""Tables that a file may have."""


def _load(ctx: typer.Context, given: Path | None) -> Path | None:
    """Let the file's table for this command stand in for flags that are not given."""
    if given is not None and not ctx.resilient_parsing:
        table = _table_name(ctx)
        ctx.default_map = _values(ctx, table, read_file(given).get(table, {}), given)
    return given


Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="TOML file that has a table of flags for each command.",
        envvar=f"{PREFIX}_CONFIG",
        is_eager=True,
        callback=_load,
    ),
]


def read_file(path: Path) -> dict[str, Any]:
    """Tables of a file of flags, by command.

    Raises
    ------
    ConfigurationError
        If it cannot be read, is no TOML, or has a table of another name.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"--config {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"--config {path} is no TOML file: {error}") from error
    for name, table in content.items():
        if name not in COMMANDS or not isinstance(table, Mapping):
            tables = ", ".join(f"[{command}]" for command in COMMANDS)
            raise ConfigurationError(f"--config {path}: {name!r} is no command: use {tables}")
    return content


def _values(ctx: typer.Context, table: str, given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What a table gives, by the names that the parameters have in code."""
    flags = {
        option.removeprefix("--"): param.name
        for param in ctx.command.params
        if not getattr(param, "hidden", False) and param.name != "config"
        for option in param.opts
        if option.startswith("--")
    }
    values = {}
    for name, value in given.items():
        flag = name.replace("_", "-")
        if flag not in flags:
            near = difflib.get_close_matches(flag, flags, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(f"--config {path}: [{table}] has no flag {name!r}{hint}")
        values[str(flags[flag])] = value
    return values


def _table_name(ctx: typer.Context) -> str:
    name = ctx.info_name or ""
    return name if name in COMMANDS else "trainer"
