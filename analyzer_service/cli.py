"""``python -m analyzer_service COMMAND``: receive runs, analyze recordings, ask about results."""

import logging
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from analyzer_service import results_cli
from analyzer_service.alerts.settings import default_file
from analyzer_service.cluster.settings import check_cluster
from analyzer_service.options import (
    Alerts,
    AllowPlaintextCluster,
    Analyzer,
    AnalyzerTimeout,
    Cluster,
    ClusterTls,
    FramesLimit,
    KeepDashboards,
    Logs,
    Outline,
    Output,
    Project,
    Vectors,
    Wandb,
    WorkerCount,
)
from analyzer_service.own.checking import check_analyzer, check_timeout
from analyzer_service.page.settings import TOKEN_VARIABLE, check_built, page_settings
from analyzer_service.settings import (
    DEFAULT_BIND,
    ServeSettings,
    check_bind,
    check_every,
    check_metrics,
    check_output_dir,
    check_producers,
    check_record_limit,
    check_vectors,
    check_workers,
    default_wandb_mode,
    default_workers,
    has_wandb_key,
    parse_size,
    parse_speed,
    read_alerts,
)
from analyzer_service.sinks.wandb_outcome import Mode
from shared.errors import ConfigurationError, RecordingError, SidelightError
from shared.flags import PREFIX, Config
from shared.logs import log_to
from shared.transport.keys import load_server_keys, make_keys

logger = logging.getLogger(__name__)
app = typer.Typer(
    help="Analyze the runs of trainers, and ask about the results. COMMAND --help says more.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"auto_envvar_prefix": PREFIX},
)

_INTERRUPTED = 130


def _hidden() -> Any:
    """Option for processes that start this one: not in the help, nor from the environment."""
    return typer.Option(hidden=True, allow_from_autoenv=False)


@app.command()
def serve(
    bind: Annotated[
        str, typer.Option(help="tcp://HOST:PORT (the next port is used too) or ipc://PATH.")
    ] = DEFAULT_BIND,
    output_dir: Output = Path(),
    wandb: Wandb = None,
    project_name: Project = None,
    workers: WorkerCount = None,
    cluster: Cluster = None,
    cluster_tls: ClusterTls = None,
    allow_plaintext_cluster: AllowPlaintextCluster = False,
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
            help="HOST:PORT of /metrics and /healthz, or off.  [default: 127.0.0.1:9464, or the "
            "next of ten ports that is free]"
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
    page: Annotated[
        bool, typer.Option("--page", help="Show the runs in the browser meanwhile.")
    ] = False,
    page_bind: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT of the page; implies --page.  [default: as of the command page]"
        ),
    ] = None,
    stain_vectors: Vectors = "ruifrok",
    nuclei_outline: Outline = True,
    alerts: Alerts = None,
    analyzer: Analyzer = None,
    analyzer_timeout: AnalyzerTimeout = 30.0,
    keep_dashboards: KeepDashboards = None,
    frames_limit: FramesLimit = "2GiB",
    log_format: Logs = "auto",
    config: Config = None,
    parent_pid: Annotated[int | None, _hidden()] = None,
    log_file: Annotated[Path | None, _hidden()] = None,
) -> None:
    """Receive runs from trainers and analyze them."""
    from analyzer_service.receive.serve import serve as run

    _log_to(log_file, log_format, config)
    address = check_bind(
        bind, secured=keys is not None, allow_plaintext_network=allow_plaintext_network
    )
    served_at = check_metrics(metrics, allow_plaintext_metrics=allow_plaintext_metrics)
    settings = ServeSettings(
        address=address,
        output_dir=output_dir,
        wandb_mode=_wandb_mode(wandb),
        project=project_name,
        workers=check_workers(default_workers() if workers is None else workers),
        cluster=check_cluster(
            cluster, cluster_tls, allow_plaintext_cluster=allow_plaintext_cluster
        ),
        record=record,
        record_limit_bytes=check_record_limit(record_limit, record=record),
        once=once,
        parent_pid=parent_pid,
        producer_timeout_s=producer_timeout,
        keys=None if keys is None else load_server_keys(keys),
        max_producers=check_producers(max_trainers),
        metrics=served_at,
        stain_vectors=check_vectors(stain_vectors),
        nuclei_outline=nuclei_outline,
        alerts=read_alerts(alerts),
        own_timeout_s=check_timeout(analyzer_timeout),
        own=check_analyzer(analyzer),
        keep_dashboards=check_every(keep_dashboards),
        frames_limit_bytes=parse_size(frames_limit, option="--frames-limit"),
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
def replay(
    files: Annotated[list[Path], typer.Argument(help="Recordings (.mcap) and journals.")],
    output_dir: Output = Path(),
    speed: Annotated[
        str, typer.Option(help="max, realtime, or how many times faster than that.")
    ] = "max",
    wandb: Annotated[str, typer.Option(help="online, offline or disabled.")] = "disabled",
    project_name: Project = None,
    workers: WorkerCount = None,
    cluster: Cluster = None,
    cluster_tls: ClusterTls = None,
    allow_plaintext_cluster: AllowPlaintextCluster = False,
    stain_vectors: Vectors = "ruifrok",
    nuclei_outline: Outline = True,
    alerts: Alerts = None,
    analyzer: Analyzer = None,
    analyzer_timeout: AnalyzerTimeout = 30.0,
    keep_dashboards: KeepDashboards = None,
    frames_limit: FramesLimit = "2GiB",
    log_format: Logs = "auto",
    config: Config = None,
) -> None:
    """Analyze recordings as if they were live."""
    from analyzer_service.receive.replaying import ReplaySettings, replay_files

    _log_to(None, log_format, config)
    settings = ReplaySettings(
        output_dir=output_dir,
        wandb_mode=_wandb_mode(wandb),
        project=project_name,
        workers=check_workers(default_workers() if workers is None else workers),
        cluster=check_cluster(
            cluster, cluster_tls, allow_plaintext_cluster=allow_plaintext_cluster
        ),
        speed=parse_speed(speed),
        stain_vectors=check_vectors(stain_vectors),
        nuclei_outline=nuclei_outline,
        alerts=read_alerts(alerts),
        own_timeout_s=check_timeout(analyzer_timeout),
        own=check_analyzer(analyzer),
        keep_dashboards=check_every(keep_dashboards),
        frames_limit_bytes=parse_size(frames_limit, option="--frames-limit"),
    )
    try:
        lines = replay_files(files, settings)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    for line in lines:
        typer.echo(line)


@app.command()
def page(
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

    _log_to(None, log_format, config)
    settings = page_settings(output_dir, bind, option="--bind", token=token)
    claimed = None if listener is None else socket.socket(fileno=listener)
    serve_page(replace(settings, parent_pid=parent_pid), claimed)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A run's folder, or a recording (.mcap).")],
) -> None:
    """Check that a run or a recording is whole; changes nothing.

    Exit code 0: sound. 1: something is missing or damaged, a line each. 2: it cannot be read.
    """
    from analyzer_service.verify.recording import verify_recording
    from analyzer_service.verify.run_folder import verify_folder

    findings = verify_folder(path) if path.is_dir() else verify_recording(path)
    for line in findings.lines():
        typer.echo(line)
    if not findings.sound:
        raise typer.Exit(1)


@app.command()
def validate(
    run: Annotated[Path, typer.Argument(help="A run's folder; it may still be going.")],
    annotations: Annotated[
        Path,
        typer.Option(help="Folder of annotations: QuPath's GeoJSON, or W3C Web Annotation."),
    ],
    reader: Annotated[
        list[str] | None,
        typer.Option(help="Subfolder of one reader; give it again for each further one."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--class", help="Class to compare; again for more.  [default: all]"),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Pixels by which two readers' outlines may differ and be one.")
    ] = 2.0,
) -> None:
    """Compare a run's attention with what pathologists marked. Evidence, never a verdict."""
    from analyzer_service.clinical import generate_clinical_validation_report
    from analyzer_service.clinical.console import lines_of

    report = generate_clinical_validation_report(
        run, annotations, readers=reader or (), classes=label or (), tolerance_px=tolerance
    )
    for line in lines_of(report):
        typer.echo(line)


@app.command()
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


@app.command()
def doctor(
    output_dir: Output = Path(),
    keys: Annotated[
        Path | None, typer.Option(help="Folder of keys to look at, too.", metavar="DIR")
    ] = None,
) -> None:
    """Check installation, ports, keys, disk, GPU and W&B, and say what to do.

    Exit code 0: ready. 1: something will fail.
    """
    from analyzer_service.doctor.examining import examine

    findings = examine(output_dir, keys)
    for finding in findings:
        for line in finding.lines():
            typer.echo(line)
    problems = sum(finding.level == "problem" for finding in findings)
    typer.echo("ready" if not problems else f"{problems} problem(s), see above")
    if problems:
        raise typer.Exit(1)


@app.command()
def alerts() -> None:
    """Print the default settings of alerts: a file for --alerts."""
    typer.echo(default_file(), nl=False)


results_cli.add_to(app)


def main() -> None:
    """Run the command line; one line and exit code 2 on what cannot be used."""
    try:
        app()
    except (ConfigurationError, RecordingError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except SidelightError as error:
        typer.echo(f"error: {error}", err=True)
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


def _log_to(path: Path | None, asked: str, config: Path | None) -> None:
    log_to(path, asked)
    if config is not None:
        logger.info("flags that are not given are those of %s", config)
