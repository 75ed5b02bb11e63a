"""Starts what a fit publishes to: an analyzer of its own, if wanted, and the publisher."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shared.errors import ConfigurationError
from shared.messages import RunStarted
from trainer.capture.config import plain
from trainer.capture.counters import RunCounters
from trainer.capture.options import SidecarOptions
from trainer.publish.local import LocalAnalyzer
from trainer.publish.publisher import Publisher
from trainer.publish.settings import PublishSettings
from trainer.ranks import file_of_rank

log = logging.getLogger(__name__)

_LOCAL_START_S = 60.0


@dataclass(frozen=True)
class FitFacts:
    """What is known of a fit as it starts.

    `from_first(value)` gives on every rank what rank 0 passed: each rank must call it.
    """

    device: str
    rank: int = 0
    world_size: int = 1
    max_epochs: int | None = None
    total_steps: int | None = None
    node: int = 0
    from_first: Callable[[Any], Any] = lambda value: value


def describe_run(
    options: SidecarOptions, counters: RunCounters, facts: FitFacts, config: Mapping[str, Any]
) -> RunStarted:
    """Count a start and describe the run, which is the same on every rank."""
    resumed_from_step = counters.start()
    counters.take_identity(facts.from_first(counters.identity))
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
    options: SidecarOptions, run: RunStarted, facts: FitFacts
) -> tuple[Publisher | None, LocalAnalyzer | None]:
    """Start the analyzer and the publisher that the options ask for.

    A local analyzer is started by rank 0 alone; the other ranks of its machine publish to it, too.

    Raises
    ------
    ConfigurationError
        If the endpoint, the recording or the analyzer cannot be used.
    """
    analyzer, endpoint = _find_analyzer(options, run, facts)
    record = None if options.record is None else file_of_rank(options.record, facts.rank)
    if endpoint is None and record is None:
        log.warning(
            "rank %d publishes nothing: a local analyzer watches one machine, an analyzer at "
            "tcp://HOST:PORT all of them",
            facts.rank,
        )
        return None, None
    try:
        publisher = Publisher.start(
            run,
            endpoint=endpoint,
            record=record,
            keys=options.keys,
            settings=_settings(options),
            analyzer_lives=_lives(options, analyzer, endpoint),
            rank=facts.rank,
        )
        return publisher, analyzer
    except BaseException:
        if analyzer is not None:
            analyzer.stop()
        raise


def _find_analyzer(
    options: SidecarOptions, run: RunStarted, facts: FitFacts
) -> tuple[LocalAnalyzer | None, str | None]:
    """The analyzer that was started here, and where the run's analyzer listens."""
    if options.sidecar != "local":
        return None, None if options.sidecar == "off" else options.sidecar
    analyzer, error = None, None
    if facts.rank == 0:
        try:
            analyzer = _start_analyzer(options, run)
        except ConfigurationError as found:  # the other ranks wait for a word
            error = str(found)
    endpoint, error = facts.from_first((analyzer and analyzer.endpoint, error))
    if error is not None:
        raise ConfigurationError(error)
    return analyzer, endpoint if facts.node == 0 else None


def _start_analyzer(options: SidecarOptions, run: RunStarted) -> LocalAnalyzer:
    return LocalAnalyzer.start(
        options.output_dir,
        project=options.project,
        log_file=options.output_dir / f"{run.run_name}.analyzer.log",
        wandb=options.wandb,
        analyzer=options.analyzer,
    )


def _settings(options: SidecarOptions) -> PublishSettings:
    settings = PublishSettings.within(options.limits, journal_dir=options.output_dir)
    if options.sidecar == "local":  # it needs seconds to start: a short run is over by then
        settings = replace(settings, first_answer_timeout_s=_LOCAL_START_S)
    return settings


def _lives(
    options: SidecarOptions, analyzer: LocalAnalyzer | None, endpoint: str | None
) -> Callable[[], bool] | None:
    """Whether a local analyzer runs: rank 0 knows, and takes its folder away once it has ended."""
    if analyzer is not None:
        return lambda: analyzer.exit_code is None
    if options.sidecar != "local" or endpoint is None:
        return None
    folder = Path(endpoint.removeprefix("ipc://")).parent
    return folder.is_dir
