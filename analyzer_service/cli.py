"""``python -m analyzer_service COMMAND``: receive runs, analyze recordings, ask about results."""

import logging
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from analyzer_service import results_cli, setup_cli
from analyzer_service.flag_groups import AnalysisFlags, WhereFlags, spread
from analyzer_service.options import (
    Grace,
    LeastFree,
    Logs,
    Output,
    Project,
    Wandb,
)
from analyzer_service.page.settings import TOKEN_VARIABLE, check_built, page_settings
from analyzer_service.settings import (
    DEFAULT_BIND,
    DEFAULT_GRACE_S,
    DEFAULT_LEAST_FREE,
    ServeSettings,
    check_bind,
    check_grace,
    check_metrics,
    check_output_dir,
    check_producers,
    check_record_limit,
    default_wandb_mode,
    has_wandb_key,
    parse_size,
    parse_speed,
)
from analyzer_service.sinks.wandb_outcome import Mode
from shared.errors import ConfigurationError, RecordingError, SidelightError
from shared.flags import PREFIX, Config, strange_variables
from shared.logs import log_to, say, say_error
from shared.transport.keys import load_server_keys

logger = logging.getLogger(__name__)
app = typer.Typer(
    help="Analyze the runs of trainers, and ask about the results. COMMAND --help says more.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"auto_envvar_prefix": PREFIX},
)


def _hidden() -> Any:
    """Option for processes that start this one: not in the help, nor from the environment."""
    return typer.Option(hidden=True, allow_from_autoenv=False)


@app.command()
@spread
def serve(
    *,
    ctx: typer.Context,
    bind: Annotated[
        str, typer.Option(help="tcp://HOST:PORT (the next port is used too) or ipc://PATH.")
    ] = DEFAULT_BIND,
    output_dir: Output = Path(),
    wandb: Wandb = None,
    project_name: Project = None,
    where: WhereFlags,
    record: Annotated[
        bool, typer.Option("--record", help="Keep everything in stream.mcap, to be replayed.")
    ] = False,
    record_limit: Annotated[
        str | None,
        typer.Option(
            help="Record in segments, and delete the oldest beyond this size.  [default: all is "
            "kept]",
            metavar="SIZE",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the first run.")] = False,
    producer_timeout: Annotated[
        float, typer.Option(help="Seconds of silence after which a trainer counts as lost.")
    ] = 30.0,
    max_trainers: Annotated[
        int, typer.Option(help="Trainer processes heard at a time; further ones are refused.")
    ] = 256,
    keys: Annotated[
        Path | None,
        typer.Option(help="Folder of keys: encrypt, and let only authorized trainers in."),
    ] = None,
    allow_plaintext_network: Annotated[
        bool,
        typer.Option(
            "--allow-plaintext-network",
            help="Listen beyond this machine, though nothing is encrypted and anyone may connect.",
        ),
    ] = False,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT of /metrics, /healthz and /readyz, or off.  [default: "
            "127.0.0.1:9464, or the next of ten ports that is free]"
        ),
    ] = None,
    allow_plaintext_metrics: Annotated[
        bool,
        typer.Option(
            "--allow-plaintext-metrics",
            help="Serve metrics beyond this machine, though nothing is encrypted and anyone may "
            "read them.",
        ),
    ] = False,
    least_free: LeastFree = DEFAULT_LEAST_FREE,
    grace: Grace = DEFAULT_GRACE_S,
    page: Annotated[
        bool, typer.Option("--page", help="Show the runs in the browser meanwhile.")
    ] = False,
    page_bind: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT of the page; implies --page.  [default: as of the command page]"
        ),
    ] = None,
    analysis: AnalysisFlags,
    log_format: Logs = "auto",
    config: Config = None,
    parent_pid: Annotated[int | None, _hidden()] = None,
    log_file: Annotated[Path | None, _hidden()] = None,
) -> None:
    """Receive runs from trainers and analyze them."""
    from analyzer_service.receive.serve import serve as run

    _log_to(ctx, log_file, log_format, config)
    address = check_bind(
        bind, secured=keys is not None, allow_plaintext_network=allow_plaintext_network
    )
    served_at = check_metrics(metrics, allow_plaintext_metrics=allow_plaintext_metrics)
    settings = ServeSettings(
        address=address,
        output_dir=output_dir,
        wandb_mode=_wandb_mode(wandb),
        project=project_name,
        **where.settings(),
        record=record,
        record_limit_bytes=check_record_limit(record_limit, record=record),
        once=once,
        parent_pid=parent_pid,
        producer_timeout_s=producer_timeout,
        grace_s=check_grace(grace),
        keys=None if keys is None else load_server_keys(keys),
        max_producers=check_producers(max_trainers),
        metrics=served_at,
        least_free_bytes=parse_size(least_free, option="--least-free"),
        **analysis.settings(),
    )
    if not (page or page_bind):
        run(settings)
        return
    from analyzer_service.page.beside import page_beside

    check_output_dir(output_dir)
    token = os.environ.get(TOKEN_VARIABLE)
    with page_beside(page_settings(output_dir, page_bind, option="--page-bind", token=token)):
        run(settings)


@app.command()
@spread
def replay(
    *,
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Recordings (.mcap) and journals.")],
    output_dir: Output = Path(),
    speed: Annotated[
        str, typer.Option(help="max, realtime, or how many times faster than that.")
    ] = "max",
    wandb: Annotated[str, typer.Option(help="online, offline or disabled.")] = "disabled",
    project_name: Project = None,
    where: WhereFlags,
    analysis: AnalysisFlags,
    log_format: Logs = "auto",
    config: Config = None,
) -> None:
    """Analyze recordings as if they were live."""
    from analyzer_service.receive.replaying import ReplaySettings, replay_files
    from analyzer_service.receive.signals import Stopped, interrupted_by_signals

    _log_to(ctx, None, log_format, config)
    settings = ReplaySettings(
        output_dir=output_dir,
        wandb_mode=_wandb_mode(wandb),
        project=project_name,
        **where.settings(),
        speed=parse_speed(speed),
        **analysis.settings(),
    )
    try:
        with interrupted_by_signals():
            lines = replay_files(files, settings)
    except Stopped as stopped:
        logger.warning("stopped; the same command goes on from here")
        raise typer.Exit(128 + stopped.number) from None
    for line in lines:
        say(line)


@app.command()
def page(
    ctx: typer.Context,
    output_dir: Annotated[
        Path, typer.Option(help="Folder that the run folders are in; only it is read.")
    ] = Path(),
    bind: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT; beyond this machine a token is asked for.  [default: 127.0.0.1:8080, "
            "or the next of ten ports that is free]"
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="Token to be asked for.  [default: a new one at each start, where it is needed]",
            envvar=TOKEN_VARIABLE,
        ),
    ] = None,
    log_format: Logs = "auto",
    config: Config = None,
    parent_pid: Annotated[int | None, _hidden()] = None,
    listener: Annotated[int | None, _hidden()] = None,
) -> None:
    """Show runs in the browser, live and finished ones, and annotate their tiles."""
    check_built()
    from analyzer_service.page.serving import serve_page

    _log_to(ctx, None, log_format, config)
    settings = page_settings(output_dir, bind, option="--bind", token=token)
    claimed = None if listener is None else socket.socket(fileno=listener)
    serve_page(replace(settings, parent_pid=parent_pid), claimed)


for command in (
    results_cli.verify,
    results_cli.validate,
    setup_cli.keys,
    setup_cli.doctor,
    setup_cli.alerts,
    results_cli.export,
    results_cli.report,
    results_cli.compare,
    results_cli.summary,
    results_cli.check,
):
    app.command()(command)


def main() -> None:
    """Run the command line; one line and exit code 2 on what cannot be used."""
    try:
        app()
    except (ConfigurationError, RecordingError) as error:
        say_error(str(error))
        sys.exit(2)
    except SidelightError as error:
        say_error(str(error))
        sys.exit(1)


def _wandb_mode(asked: str | None) -> Mode:
    if asked is None:
        mode = default_wandb_mode(os.environ, Path.home())
        if mode == "offline" and not has_wandb_key(os.environ, Path.home()):
            logger.info("W&B runs offline: no key is configured (wandb login makes one)")
        return mode
    for mode in get_args(Mode):
        if mode == asked:
            return mode  # type: ignore[no-any-return]
    raise ConfigurationError(f"--wandb {asked}: choose one of {', '.join(get_args(Mode))}")


def _log_to(ctx: typer.Context, path: Path | None, asked: str, config: Path | None) -> None:
    log_to(path, asked)
    for words in strange_variables(ctx, os.environ).values():
        logger.warning("%s", words)
    if config is not None:
        logger.info("flags that are not given are those of %s", config)
