"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[Path, typer.Option(help="Folder that the run folders are made in.")]
Wandb = Annotated[str | None, typer.Option(help="online, offline or disabled.")]
Project = Annotated[
    str | None, typer.Option(help="W&B project.  [default: the one that the trainer names]")
]
WorkerCount = Annotated[
    int | None, typer.Option(help="Processes that analyze and draw.  [default: by processors]")
]

Vectors = Annotated[
    str,
    typer.Option(
        help="Vectors that tell stains apart: ruifrok, qupath, or macenko (estimated from the "
        "first 16 tiles of each run, then kept).",
        envvar="SIDELIGHT_STAIN_VECTORS",
    ),
]
Outline = Annotated[
    bool,
    typer.Option(
        help="Outline the nuclei that were found, approximately, in the dashboards.",
        envvar="SIDELIGHT_NUCLEI_OUTLINE",
    ),
]
Alerts = Annotated[
    Path | None,
    typer.Option(
        help="File of good ranges and of what alerts go by.  [default: what the command alerts "
        "shows]",
        envvar="SIDELIGHT_ALERTS",
    ),
]
Analyzer = Annotated[
    str | None,
    typer.Option(
        help="MODULE:CLASS of your own analysis of each frame; the module is looked for in the "
        "current folder first.",
        envvar="SIDELIGHT_ANALYZER",
    ),
]
AnalyzerTimeout = Annotated[
    float,
    typer.Option(
        help="Seconds that your own analysis may take for a frame.",
        envvar="SIDELIGHT_ANALYZER_TIMEOUT",
    ),
]
KeepDashboards = Annotated[
    int | None,
    typer.Option(
        help="Keep every Nth dashboard of training, those of every Nth epoch's validation, and the "
        "latest.  [default: all]",
        metavar="N",
        envvar="SIDELIGHT_KEEP_DASHBOARDS",
    ),
]
FramesLimit = Annotated[
    str,
    typer.Option(
        help="Size of frames/ beyond which the oldest images and maps go, training's first.",
        metavar="SIZE",
        envvar="SIDELIGHT_FRAMES_LIMIT",
    ),
]
LeastFree = Annotated[
    str,
    typer.Option(
        help="Room in the output folder below which /readyz says no.",
        metavar="SIZE",
    ),
]
Grace = Annotated[
    float,
    typer.Option(
        help="Seconds within which it has ended after SIGTERM: less than whoever sends it waits "
        "before it kills.",
        metavar="SECONDS",
    ),
]
Logs = Annotated[
    str,
    typer.Option(
        help="text, json, or auto: json unless it is a terminal.", envvar="SIDELIGHT_LOG_FORMAT"
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="tcp://HOST:PORT or tls://HOST:PORT of a dask scheduler: frames are analyzed by its "
        "workers.  [default: on this machine]",
    ),
]
ClusterTls = Annotated[
    tuple[Path, Path, Path] | None,
    typer.Option(
        metavar="CA CERT KEY",
        help="PEM files for a cluster at tls://: who signs its certificates, this machine's own "
        "one and its key.  [default: as dask is configured]",
    ),
]
AllowPlaintextCluster = Annotated[
    bool,
    typer.Option(
        "--allow-plaintext-cluster",
        help="Use a cluster beyond this machine, though nothing is encrypted and anyone who "
        "reaches it may run programs there.",
    ),
]
