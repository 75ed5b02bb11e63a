"""Starts what a fit publishes to: an analyzer of its own, if wanted, and the publisher."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.messages import RunStarted
from trainer.capture.config import plain
from trainer.capture.counters import RunCounters
from trainer.capture.options import SidecarOptions
from trainer.publish.local import LocalAnalyzer
from trainer.publish.publisher import Publisher
from trainer.publish.settings import PublishSettings

log = logging.getLogger(__name__)

_LOCAL_START_S = 60.0


@dataclass(frozen=True)
class FitFacts:
    """What is known of a fit as it starts."""

    device: str
    rank: int = 0
    world_size: int = 1
    max_epochs: int | None = None
    total_steps: int | None = None


def describe_run(
    options: SidecarOptions, counters: RunCounters, facts: FitFacts, config: Mapping[str, Any]
) -> RunStarted:
    """Count a start and describe the run."""
    resumed_from_step = counters.start()
    return RunStarted(
        run_id=counters.run_id,
        run_name=counters.run_name,
        project=options.project,
        producer=f"rank{facts.rank}",
        incarnation=counters.incarnation,
        resumed_from_step=resumed_from_step,
        started_at_ns=time.time_ns(),
        device=facts.device,
        world_size=facts.world_size,
        layers=options.layers,
        primary_layer=options.primary or next(iter(options.attention), None),
        tile_size=options.tile_size,
        stain=options.stain,
        mpp=options.mpp,
        analysis_freq=options.analysis_freq,
        frame_samples=options.frame_samples,
        max_epochs=facts.max_epochs,
        total_steps=facts.total_steps,
        config=plain(config),
    )


def start_publisher(
    options: SidecarOptions, run: RunStarted, *, rank: int
) -> tuple[Publisher | None, LocalAnalyzer | None]:
    """Start the analyzer and the publisher that the options ask for.

    A local analyzer belongs to rank 0; other ranks then publish to nobody but their recording.

    Raises
    ------
    ConfigurationError
        If the endpoint, the recording or the analyzer cannot be used.
    """
    analyzer = None
    endpoint = None if options.sidecar in ("local", "off") else options.sidecar
    if options.sidecar == "local" and rank == 0:
        analyzer = LocalAnalyzer.start(
            options.output_dir,
            project=options.project,
            log_file=options.output_dir / f"{run.run_name}.analyzer.log",
            wandb=options.wandb,
            analyzer=options.analyzer,
        )
        endpoint = analyzer.endpoint
    record = options.record if rank == 0 else None
    if endpoint is None and record is None:
        log.info("rank %d publishes nothing: the local analyzer watches rank 0", rank)
        return None, None
    try:
        settings = PublishSettings.within(options.limits, journal_dir=options.output_dir)
        if analyzer is not None:  # it needs seconds to start: a short run is over by then
            settings = replace(settings, first_answer_timeout_s=_LOCAL_START_S)
        publisher = Publisher.start(
            run,
            endpoint=endpoint,
            record=record,
            keys=options.keys,
            settings=settings,
            analyzer_lives=None if analyzer is None else lambda: analyzer.exit_code is None,
        )
        return publisher, analyzer
    except BaseException:
        if analyzer is not None:
            analyzer.stop()
        raise
