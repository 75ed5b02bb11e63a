"""Flags that `serve` and `replay` share, in groups: each declared once, with what it is checked by.

A command takes a group as one parameter; `spread` puts the group's flags in its place.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Any, TypedDict, get_type_hints

from analyzer_service.alerts.settings import AlertSettings
from analyzer_service.analyses.tissue_facts import VectorChoice
from analyzer_service.cluster.settings import ClusterSettings, check_cluster
from analyzer_service.options import (
    Alerts,
    AllowPlaintextCluster,
    Analyzer,
    AnalyzerTimeout,
    Cluster,
    ClusterTls,
    FramesLimit,
    KeepDashboards,
    Outline,
    Vectors,
    WorkerCount,
)
from analyzer_service.own.checking import check_analyzer, check_timeout
from analyzer_service.own.source import OwnSource
from analyzer_service.settings import (
    check_every,
    check_vectors,
    check_workers,
    default_workers,
    parse_size,
    read_alerts,
)


class WhereSettings(TypedDict):
    """What `WhereFlags` come to, by the names of the settings."""

    workers: int
    cluster: ClusterSettings | None


@dataclass(frozen=True)
class WhereFlags:
    """Where frames are analyzed."""

    workers: WorkerCount = None
    cluster: Cluster = None
    cluster_tls: ClusterTls = None
    allow_plaintext_cluster: AllowPlaintextCluster = False

    def settings(self) -> WhereSettings:
        """Checked; raises `ConfigurationError` for what cannot be."""
        plaintext = self.allow_plaintext_cluster
        return {
            "workers": check_workers(default_workers() if self.workers is None else self.workers),
            "cluster": check_cluster(
                self.cluster, self.cluster_tls, allow_plaintext_cluster=plaintext
            ),
        }


class AnalysisSettings(TypedDict):
    """What `AnalysisFlags` come to, by the names of the settings."""

    stain_vectors: VectorChoice
    nuclei_outline: bool
    alerts: AlertSettings
    own_timeout_s: float
    own: OwnSource | None
    keep_dashboards: int | None
    frames_limit_bytes: int


@dataclass(frozen=True)
class AnalysisFlags:
    """How frames are analyzed, and how much of them is kept."""

    stain_vectors: Vectors = "ruifrok"
    nuclei_outline: Outline = True
    alerts: Alerts = None
    analyzer: Analyzer = None
    analyzer_timeout: AnalyzerTimeout = 30.0
    keep_dashboards: KeepDashboards = None
    frames_limit: FramesLimit = "2GiB"

    def settings(self) -> AnalysisSettings:
        """Checked; raises `ConfigurationError` for what cannot be."""
        return {
            "stain_vectors": check_vectors(self.stain_vectors),
            "nuclei_outline": self.nuclei_outline,
            "alerts": read_alerts(self.alerts),
            "own_timeout_s": check_timeout(self.analyzer_timeout),
            "own": check_analyzer(self.analyzer),
            "keep_dashboards": check_every(self.keep_dashboards),
            "frames_limit_bytes": parse_size(self.frames_limit, option="--frames-limit"),
        }


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with the flags of each group where it takes that group, as typer reads them."""
    groups: dict[str, Any] = {
        name: hint for name, hint in get_type_hints(command).items() if is_dataclass(hint)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        parameters += _flags(groups[name]) if name in groups else [parameter]

    @wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(each.name) for each in fields(group)})
        command(**given)

    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _flags(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=hints[each.name],
        )
        for each in fields(group)
    ]
