"""Commands that get an analyzer ready: ``keys``, ``doctor``, and ``alerts``."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from analyzer_service.alerts.settings import default_file
from analyzer_service.options import Output
from shared.flags import COMMANDS, Config, strange_variables
from shared.transport.keys import make_keys


def keys(
    folder: Annotated[Path, typer.Argument(help="New folder, or an empty one.", metavar="DIR")],
) -> None:
    """Make keys, to connect an analyzer and trainers across machines."""
    make_keys(folder)
    for line in (
        f"Keys are in {folder}, readable by you alone.",
        f"  Analyzer   python -m analyzer_service serve --bind tcp://HOST:PORT --keys {folder}",
        f"  Trainer    copy server.key and client.key_secret of {folder} into a folder KEYS of its",
        "             machine (chmod 700 KEYS, chmod 600 KEYS/client.key_secret), and start it by",
        "             python -m trainer --sidecar tcp://HOST:PORT --keys KEYS",
        "  Further trainers may share these files; for one with keys of its own, make another",
        f"  folder and copy its client.key into {folder / 'authorized'} under another name, and",
        f"  {folder / 'server.key'} into its place there. The analyzer reads them as it starts.",
        "Keep server.key_secret on the analyzer's machine.",
    ):
        typer.echo(line)


def doctor(
    ctx: typer.Context,
    output_dir: Output = Path(),
    keys: Annotated[
        Path | None, typer.Option(help="Folder of keys to look at, too.", metavar="DIR")
    ] = None,
    config: Config = None,  # noqa: ARG001 - has been read before the others
) -> None:
    """Check installation, ports, keys, disk, GPU and W&B, and say what to do.

    Exit code 0: ready. 1: something will fail.
    """
    from analyzer_service.doctor.examining import examine

    findings = examine(output_dir, keys, _strange_variables(ctx))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for finding in findings:
        for line in finding.lines(width):
            typer.echo(line)
    problems = sum(finding.level == "problem" for finding in findings)
    typer.echo("ready" if not problems else f"{problems} problem(s), see above")
    if problems:
        raise typer.Exit(1)


def alerts() -> None:
    """Print the default settings of alerts: a file for --alerts."""
    typer.echo(default_file(), nl=False)


def _strange_variables(ctx: typer.Context) -> list[str]:
    """What `strange_variables` says of any command of this program, of each variable once."""
    commands: dict[str, Any] = {} if ctx.parent is None else ctx.parent.command.commands  # type: ignore[attr-defined]
    contexts = [
        type(ctx)(command, info_name=name)
        for name, command in commands.items()
        if name in COMMANDS and name != ctx.info_name
    ]
    said = strange_variables(ctx, os.environ)
    for each in contexts:
        said = {**strange_variables(each, os.environ), **said}
    return list(said.values())
