"""Limits of a `RunPipeline`, and the functions that its workers call."""

from dataclasses import dataclass, field
from typing import Final

from analyzer_service.alerts.settings import DEFAULT, AlertSettings
from analyzer_service.analyses.tissue_facts import VectorChoice
from analyzer_service.own.source import OwnSource

FRAMES_LIMIT_BYTES: Final = 2 << 30


@dataclass(frozen=True, slots=True)
class Calls:
    """Functions by ``module:name``, imported in the worker that runs them."""

    analyze: str = "analyzer_service.analyses.frame:analyze_frame"
    dashboard: str = "analyzer_service.figures.draw:draw_dashboard"
    epoch: str = "analyzer_service.sinks.json_files:write_epoch"
    final: str = "analyzer_service.sinks.json_files:write_final"
    report: str = "analyzer_service.sinks.report:write_report"


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How long things may take and how much is kept.

    Attributes
    ----------
    frame_timeout_s, dashboard_timeout_s, file_timeout_s : float
        Limits of one analysis, one drawing, and one JSON file or report.
    frames_limit_bytes : int
        Size of the frames folder beyond which the oldest training frames go.
    keep_dashboards : int or None
        Every so manieth dashboard is kept once there are newer ones (`retention`); None or 1 for
        all of them.
    end_grace_s : float
        How long frames may still arrive after a producer has said that the run ended.
    join_grace_s : float
        How long rows of a start wait for ranks of it that have not been heard of.
    release_limit : int
        Most records released in one commit, so that a commit stays short.
    stain_vectors : str
        Named vectors, or ``macenko``: estimated from the run's first tiles, then kept.
    nuclei_outline : bool
        Draw the outlines of nuclei into dashboards.
    alerts : AlertSettings
        Good ranges, and what alerts go by.
    own : OwnSource or None
        The user's own analysis of each frame.
    own_timeout_s : float
        Limit of one of them.
    accept_late_frames : bool
        Analyze frames of batches that are released without them, for `RunPipeline.rebuild`.
    """

    frame_timeout_s: float = 30.0
    dashboard_timeout_s: float = 120.0
    file_timeout_s: float = 1800.0
    frames_limit_bytes: int = FRAMES_LIMIT_BYTES
    keep_dashboards: int | None = None
    end_grace_s: float = 1.0
    join_grace_s: float = 30.0
    release_limit: int = 256
    accept_late_frames: bool = False
    stain_vectors: VectorChoice = "ruifrok"
    nuclei_outline: bool = True
    alerts: AlertSettings = DEFAULT
    own: OwnSource | None = None
    own_timeout_s: float = 30.0
    calls: Calls = field(default_factory=Calls)
