"""Facts of a run that stand in its JSON files: from its messages only."""

from collections.abc import Sequence
from typing import Any

from analyzer_service.sinks.plain import utc
from shared.messages import SCHEMA_VERSION, RunStarted

_FIXED = (
    "run_id",
    "run_name",
    "project",
    "device",
    "world_size",
    "primary_layer",
    "tile_size",
    "stain",
    "mpp",
    "analysis_freq",
    "frame_samples",
    "max_epochs",
    "total_steps",
)
_STATISTICS = (
    "std and sd are sample standard deviations (n - 1); undefined counts the values that are "
    "null (NaN or infinity); quantiles are linear"
)


def run_facts(starts: Sequence[RunStarted]) -> dict[str, Any]:
    """What the incarnations of a run said when they started; the latest one speaks.

    Parameters
    ----------
    starts : sequence of RunStarted
        Oldest first, at least one.
    """
    latest = starts[-1]
    facts: dict[str, Any] = {"schema_version": ".".join(map(str, SCHEMA_VERSION))}
    facts |= {name: getattr(latest, name) for name in _FIXED}
    facts["layers"] = [layer.model_dump() for layer in latest.layers]
    facts["started_at"] = utc(starts[0].started_at_ns)
    facts["incarnations"] = [
        {
            "producer": start.producer,
            "incarnation": start.incarnation,
            "started_at": utc(start.started_at_ns),
            "resumed_from_step": start.resumed_from_step,
        }
        for start in starts
    ]
    facts["config"] = latest.config
    facts["statistics"] = _STATISTICS
    return facts


def started_by(starts: Sequence[RunStarted], at_ns: int | None) -> list[RunStarted]:
    """The incarnations that had started at `at_ns`, so that a later resume changes nothing."""
    if at_ns is None:
        return list(starts)
    return [start for start in starts if start.started_at_ns <= at_ns] or list(starts[:1])
