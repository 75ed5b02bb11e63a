"""What `serve` and `replay` were asked to do; read once, at the command line."""

import netrc
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args
from urllib.parse import urlsplit

from analyzer_service.alerts.settings import DEFAULT, AlertSettings, load_settings
from analyzer_service.alerts.titles import TITLES
from analyzer_service.analyses.tissue_facts import VectorChoice
from analyzer_service.cluster.settings import ClusterSettings
from analyzer_service.listening import HttpAddress, default_address, parse_http_address
from analyzer_service.own.source import OwnSource
from analyzer_service.pipeline.settings import FRAMES_LIMIT_BYTES
from analyzer_service.sinks.wandb_outcome import Mode
from shared.errors import ConfigurationError
from shared.transport.addresses import Address, parse_address
from shared.transport.keys import ServerKeys

DEFAULT_BIND: Final = "tcp://127.0.0.1:5555"
DEFAULT_METRICS_PORT: Final = 9464
LEAST_RECORD_BYTES: Final = 16 << 20
DEFAULT_LEAST_FREE: Final = "256MiB"
DEFAULT_GRACE_S: Final = 8.0
"""Below the 10 s after which `docker stop` kills."""
_WANDB_HOST: Final = "api.wandb.ai"
_SIZE: Final = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([KMGT]?)(?:i?B)?", re.IGNORECASE)


@dataclass(frozen=True)
class ServeSettings:
    """How to serve live runs.

    Attributes
    ----------
    address : Address
        Where to listen.
    output_dir : Path
        Folder that the run folders are made in.
    wandb_mode, project
        Where rows go; `project` None takes the one that the producer names.
    workers : int
        Processes for analyses and drawing.
    cluster : ClusterSettings or None
        Whose workers analyze frames instead.
    record : bool
        Whether accepted messages are kept in ``stream.mcap``.
    record_limit_bytes : int or None
        Size beyond which its oldest segments are deleted.
    once : bool
        Whether to end after the first run.
    parent_pid : int or None
        A process whose death ends this one, once what it sent is reported.
    producer_timeout_s : float
        A producer silent for so long, without a farewell, is lost: its run failed.
    grace_s : float
        Seconds after SIGTERM or SIGINT within which this process has ended by itself.
    keys : ServerKeys or None
        With them, only authorized trainers get in, and all is encrypted.
    max_producers : int
        Trainers' processes heard at a time; a further one is refused, and records to a file.
    metrics : HttpAddress or None
        Where /metrics, /healthz and /readyz are served, if at all.
    least_free_bytes : int
        Room in the output folder below which /readyz says no.
    stain_vectors, nuclei_outline, alerts, own, own_timeout_s
        As of `PipelineSettings`.
    keep_dashboards, frames_limit_bytes
        Likewise.
    """

    address: Address
    output_dir: Path
    wandb_mode: Mode = "disabled"
    project: str | None = None
    workers: int = 1
    cluster: ClusterSettings | None = None
    record: bool = False
    record_limit_bytes: int | None = None
    once: bool = False
    parent_pid: int | None = None
    producer_timeout_s: float = 30.0
    grace_s: float = DEFAULT_GRACE_S
    keys: ServerKeys | None = None
    max_producers: int = 256
    metrics: HttpAddress | None = None
    least_free_bytes: int = 0
    stain_vectors: VectorChoice = "ruifrok"
    nuclei_outline: bool = True
    alerts: AlertSettings = DEFAULT
    own: OwnSource | None = None
    own_timeout_s: float = 30.0
    keep_dashboards: int | None = None
    frames_limit_bytes: int = FRAMES_LIMIT_BYTES


def default_workers() -> int:
    """Processes when nothing is asked for: one less than the processors, at most 4."""
    return max(1, min(4, (os.cpu_count() or 1) - 1))


def check_bind(text: str, *, secured: bool, allow_plaintext_network: bool) -> Address:
    """Address of `text`; one that other machines can reach only with keys or the explicit flag.

    Raises
    ------
    ConfigurationError
        If it is no address, or is open to a network without either.
    """
    address = parse_address(text)
    if not (address.loopback or secured or allow_plaintext_network):
        raise ConfigurationError(
            f"--bind {text} is open to other machines, without encryption or a check of who "
            "connects: make keys (python -m analyzer_service keys DIR) and give --keys DIR, or "
            "bind 127.0.0.1 and use an SSH tunnel, or say --allow-plaintext-network"
        )
    return address


def check_metrics(text: str | None, *, allow_plaintext_metrics: bool) -> HttpAddress | None:
    """Where metrics are served: the default when nothing is asked for, nowhere for ``off``.

    Raises
    ------
    ConfigurationError
        If it is no address, or is open to a network without the explicit flag.
    """
    if text == "off":
        return None
    address = _metrics_address(text)
    if not (address.loopback or allow_plaintext_metrics):
        raise ConfigurationError(
            f"--metrics {text} is open to other machines: names and numbers of your runs would be "
            "there for anyone, unencrypted. Give 127.0.0.1:PORT, or say --allow-plaintext-metrics"
        )
    return address


def _metrics_address(text: str | None) -> HttpAddress:
    if text is None:
        return default_address("--metrics", DEFAULT_METRICS_PORT)
    try:
        return parse_http_address(text, option="--metrics")
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}, or off") from error


def check_workers(count: int) -> int:
    """`count`, if it is a number of processes; raises `ConfigurationError` if not."""
    if count < 1:
        raise ConfigurationError(f"--workers {count}: at least one process is needed")
    return count


def check_producers(count: int) -> int:
    """`count`, if so many trainers can be heard; raises `ConfigurationError` if not."""
    if count < 1:
        raise ConfigurationError(f"--max-trainers {count}: at least one must be heard")
    return count


def check_grace(seconds: float) -> float:
    """`seconds`, if they are a grace period; raises `ConfigurationError` if not."""
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(f"--grace {seconds:g}: give seconds, 0 or more")
    return seconds


def check_every(count: int | None) -> int | None:
    """`count`, if every so manieth dashboard can be kept; raises `ConfigurationError` if not."""
    if count is not None and count < 1:
        raise ConfigurationError(f"--keep-dashboards {count}: give 1 (all of them) or more")
    return count


def check_record_limit(text: str | None, *, record: bool) -> int | None:
    """Bytes that a recording may have, None for any number of them.

    Raises
    ------
    ConfigurationError
        If `text` is no size or a small one, or nothing is recorded.
    """
    if text is None:
        return None
    if not record:
        raise ConfigurationError("--record-limit: nothing is recorded, give --record as well")
    return parse_size(text, option="--record-limit", least=LEAST_RECORD_BYTES)


def parse_size(text: str, *, option: str, least: int = 0) -> int:
    """Bytes of a size as people write it: 500MiB, 2G (of 1024 each), or bytes.

    Raises
    ------
    ConfigurationError
        If it is none, or below `least`.

    Examples
    --------
    >>> parse_size("1.5GiB", option="--frames-limit"), parse_size("10M", option="--frames-limit")
    (1610612736, 10485760)
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(f"{option} {text}: give a size such as 500MiB, 20GiB or 1T")
    nbytes = round(float(found[1]) * (1 << 10 * " KMGT".index(found[2].upper() or " ")))
    if nbytes < least:
        raise ConfigurationError(f"{option} {text}: at least {least >> 20} MiB are needed")
    return nbytes


def check_vectors(text: str) -> VectorChoice:
    """`text`, if it names a choice of stain vectors; raises `ConfigurationError` if not."""
    for choice in get_args(VectorChoice):
        if choice == text:
            return choice  # type: ignore[no-any-return]
    raise ConfigurationError(
        f"--stain-vectors {text}: choose one of {', '.join(get_args(VectorChoice))}"
    )


def read_alerts(path: Path | None) -> AlertSettings:
    """Settings of a file, the defaults without one; raises `ConfigurationError` if it is wrong."""
    return DEFAULT if path is None else load_settings(path, TITLES)


def parse_speed(text: str) -> float | None:
    """How much faster than captured; None for as fast as possible.

    Raises
    ------
    ConfigurationError
        If `text` is neither ``max``, ``realtime`` nor a number above 0.
    """
    if text in ("max", "realtime"):
        return None if text == "max" else 1.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ConfigurationError(f"--speed {text}: give max, realtime, or a number above 0")
    return speed


def check_output_dir(path: Path) -> Path:
    """`path` as an absolute folder that can be written, made if it is not there.

    Raises
    ------
    ConfigurationError
        If it cannot be made or written.
    """
    try:
        path = path.absolute()
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".sidelight-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"output folder {path} cannot be written ({os.strerror(error.errno or 0)}): "
            "choose another with --output-dir"
        ) from error
    return path


def default_wandb_mode(environment: Mapping[str, str], home: Path) -> Mode:
    """W&B mode when none is asked for: what WANDB_MODE says, else online if there is a key."""
    asked = environment.get("WANDB_MODE", "").lower()
    if asked in ("offline", "disabled"):
        return "offline" if asked == "offline" else "disabled"
    return "online" if has_wandb_key(environment, home) else "offline"


def has_wandb_key(environment: Mapping[str, str], home: Path) -> bool:
    """Tell whether W&B would find a key: in WANDB_API_KEY, or in the netrc file."""
    if environment.get("WANDB_API_KEY"):
        return True
    host = urlsplit(environment.get("WANDB_BASE_URL", "")).hostname or _WANDB_HOST
    given = environment.get("NETRC")
    for path in [Path(given)] if given else [home / ".netrc", home / "_netrc"]:
        try:
            entry = netrc.netrc(path).authenticators(host)
        except (OSError, netrc.NetrcParseError):
            continue
        if entry is not None and entry[2]:
            return True
    return False
