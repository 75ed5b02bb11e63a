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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shared.errors import ConfigurationError

PREFIX: Final = "SIDELIGHT"
COMMANDS: Final = (
    *("trainer", "serve", "replay", "page"),
    *("validate", "export", "report", "compare", "doctor"),
)
"""Commands that have flags: tables that a file may have."""
_OF_NO_FLAG: Final = (
    *("CONFIG", "ALERTS", "ANALYZER", "ANALYZER_TIMEOUT", "STAIN_VECTORS", "NUCLEI_OUTLINE"),
    *("KEEP_DASHBOARDS", "FRAMES_LIMIT", "LOG_FORMAT"),  # of flags that several commands have
    *("UID", "GID", "METRICS_PORT", "PAGE_PORT"),  # of the compose file
    *("RANKS", "WITHOUT_PAGE", "CHROMIUM", "BROWSER_REQUIRED"),  # of processes among themselves
)


def _load(ctx: typer.Context, given: Path | None) -> Path | None:
    """Let the file's table for this command stand in for flags that are not given."""
    for param in ctx.command.params:
        _name_variable(ctx, param)
    if given is not None and not ctx.resilient_parsing:
        table = _table_name(ctx)
        ctx.default_map = _values(ctx, table, read_file(given).get(table, {}), given)
    return given


def _name_variable(ctx: typer.Context, param: Any) -> None:
    """Have a value that is wrong say by which variable it may have come."""
    if param.param_type_name == "option" and param.envvar is None and param.allow_from_autoenv:
        param.envvar = f"{ctx.auto_envvar_prefix}_{param.name.upper()}"


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


def strange_variables(ctx: typer.Context, environment: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that look like ours, and mean nothing to this command; in words.

    What another command would understand is not looked at: each has variables of its own.
    """
    known = {f"{PREFIX}_{name}" for name in _OF_NO_FLAG}
    own = {f"{_prefix(ctx)}_{param.name.upper()}" for param in ctx.command.params if param.name}
    others = [f"{PREFIX}_{command.upper()}_" for command in COMMANDS]
    others.remove(f"{_prefix(ctx)}_")
    said: dict[str, str] = {}
    for name in sorted(environment):
        if not name.startswith(f"{PREFIX}_") or name in known | own:
            continue
        if not name.startswith(tuple(others)):
            near = _nearest(name, sorted(known)) or _nearest(name, sorted(own), f"{_prefix(ctx)}_")
            hint = f": did you mean {near}?" if near else "; --help lists the flags"
            said[name] = f"the environment variable {name} names no flag{hint}"
    return said


def _nearest(name: str, possible: Sequence[str], prefix: str = f"{PREFIX}_") -> str | None:
    """What `name` may have been meant for; the `prefix`, which is alike, says nothing of that."""
    ends = [each.removeprefix(prefix) for each in possible]
    end = name.removeprefix(prefix)
    if end == name:  # the command's name may be what is wrong
        end = name.removeprefix(f"{PREFIX}_").partition("_")[2]
    near = difflib.get_close_matches(end, ends, n=1, cutoff=0.7)
    return possible[ends.index(near[0])] if near else None


def _prefix(ctx: typer.Context) -> str:
    return f"{PREFIX}_{_table_name(ctx).upper()}"


def _values(ctx: typer.Context, table: str, given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What a table gives, by the names that the parameters have in code."""
    flags = {
        option.removeprefix("--"): (param, option in param.opts)
        for param in ctx.command.params
        if not getattr(param, "hidden", False) and param.name not in ("config", "help")
        for option in (*param.opts, *param.secondary_opts)
        if option.startswith("--")
    }
    values: dict[str, Any] = {}
    for name, value in given.items():
        flag = name.replace("_", "-")
        if flag not in flags:
            near = difflib.get_close_matches(flag, flags, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(f"--config {path}: [{table}] has no flag {name!r}{hint}")
        param, positive = flags[flag]
        if param.name in values:
            raise ConfigurationError(f"--config {path}: [{table}] says {name!r} twice")
        try:
            values[param.name] = _checked(ctx, param, value, positive=positive)
        except (typer.BadParameter, TypeError, ValueError) as error:
            said = getattr(error, "message", None) or str(error)
            raise ConfigurationError(
                f"--config {path}: [{table}] {name} = {value!r}: {said}"
            ) from error
    return values


def _checked(ctx: typer.Context, param: Any, value: Any, *, positive: bool) -> Any:
    """`value` as a flag of the command line would have it; raises what tells why it cannot be."""
    if param.is_flag:
        if not isinstance(value, bool):
            raise ValueError("give true or false")
        return value == positive
    several = param.multiple or param.nargs != 1
    if isinstance(value, list) != several:
        raise ValueError("give a list, [...]" if several else "give one value")
    texts = [_text(each) for each in value] if several else _text(value)
    param.process_value(ctx, texts)
    return texts


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("give text in quotes, or a number")
    return str(value)


def _table_name(ctx: typer.Context) -> str:
    name = ctx.info_name or ""
    return name if name in COMMANDS else "trainer"
