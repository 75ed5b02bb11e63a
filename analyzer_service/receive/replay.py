"""Replays recordings through the pipeline that live runs take."""

import logging
import math
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from analyzer_service.pipeline import Origin
from analyzer_service.receive.inventory import HeldOrigin, HeldRun, Inventory
from analyzer_service.receive.live_run import LiveRun
from analyzer_service.receive.missing import Missing
from analyzer_service.receive.pace import Pace
from analyzer_service.receive.runs import Runs, RunsSettings
from analyzer_service.workers import Workers
from analyzer_service.workers.wakeup import Wakeup
from shared.codec import decode_payload
from shared.errors import ContractError, SinkError
from shared.messages import BatchFrame
from shared.recording import Recorded

logger = logging.getLogger(__name__)

BUDGET_BYTES: Final = 64 << 20
_ITEMS_PER_LOOK: Final = 256
_LONGEST_WAIT_S: Final = 0.25


@dataclass(frozen=True)
class ReplayedRun:
    """Where a run was written, and what its recordings lacked, in sentences."""

    run_name: str
    folder: Path
    missing: list[str]

    @property
    def report(self) -> Path:
        """The run's report."""
        return self.folder / "final_summary_report.md"

    @property
    def page(self) -> Path:
        """The report with its plots."""
        return self.folder / "final_summary_report.html"


@dataclass(frozen=True)
class Replayed:
    """What came of a replay; `damage` says what of the files could not be read."""

    runs: list[ReplayedRun]
    damage: list[str] = field(default_factory=list)


class Replay:
    """One replay of recordings that belong together.

    Parameters
    ----------
    inventory : Inventory
        Recordings and journals, of one run or of several.
    workers : Workers
        Where analyses run; the caller closes them.
    settings : RunsSettings
        Where runs are written.
    speed : float or None
        How much faster than captured; None takes no time between messages.
    budget_bytes : int or callable
        Frames that may be in work at once; asked anew each time if it may change.
    """

    def __init__(
        self,
        inventory: Inventory,
        workers: Workers,
        settings: RunsSettings,
        *,
        speed: float | None = None,
        budget_bytes: int | Callable[[], int] = BUDGET_BYTES,
    ) -> None:
        self.inventory = inventory
        self._workers = workers
        self._wakeup = Wakeup()
        # Nothing is late here, and no producer is ever silent: the end of the files is the end.
        settings = replace(
            settings,
            producer_timeout_s=math.inf,
            pipeline=replace(
                settings.pipeline, accept_late_frames=True, end_grace_s=math.inf, join_grace_s=0.0
            ),
        )
        self._runs = Runs(workers, settings, self._wakeup.set)
        self._pace = Pace(speed)
        self._budget_bytes = budget_bytes
        self._live: dict[str, LiveRun] = {}
        self._missing = Missing(self.inventory)

    def run(self, on_progress: Callable[[int], None] | None = None) -> Replayed:
        """Replay everything; `on_progress` gets the number of items that are done.

        Raises
        ------
        ConfigurationError
            If the folder of a run belongs to another one; nothing is written then.
        SinkError
            If results cannot be written.
        """
        try:
            for held in self.inventory.runs.values():
                self._runs.check(held.run_id, held.run_name)
            for count, item in enumerate(self.inventory, start=1):
                self._feed(item)
                if count % _ITEMS_PER_LOOK == 0 or self._pace.waits:
                    self._step(0.0)
                    if on_progress is not None:
                        on_progress(count)
            self._finish()
        finally:
            self._runs.close()
            self._wakeup.close()
        return self._outcome()

    def _feed(self, item: Recorded) -> None:
        self._wait_for_time(item)
        held = self.inventory.runs[item.run_id]
        origin = Origin(item.producer, item.incarnation)
        live = self._start(held, held.origins[origin])
        try:
            message = decode_payload(item.payload)
        except ContractError as error:
            logger.error("%s: %s %d: %s", item.run_name, item.channel, item.sequence, error)
            return
        if isinstance(message, BatchFrame):
            self._wait_for_room()
            live.take_frame(origin, message, [item.payload])
        elif item.channel == "ctl":
            self._missing.note(origin, item, message)
            live.put_record(origin, item.sequence, message, item.payload)

    def _start(self, held: HeldRun, producer: HeldOrigin) -> LiveRun:
        """The run of `producer`, which hears of its start before anything else."""
        live = self._live.get(held.run_id)
        if live is None:
            known = self._runs.known(held.run_id, held.run_name)
            live = self._live[held.run_id] = known or self._runs.open(held.started)
        if producer.origin not in live.heard:
            for rank in _ranks_beside(held, producer):
                live.expect(rank.origin, time.monotonic())
                if rank.has_start:
                    live.put_record(rank.origin, 1, rank.started)
        return live

    def _wait_for_time(self, item: Recorded) -> None:
        while (seconds := self._pace.until(item.captured_at_ns, time.monotonic())) > 0:
            self._step(min(seconds, _LONGEST_WAIT_S))

    def _wait_for_room(self) -> None:
        # What is held waits for messages that are yet to be fed: waiting would last for ever.
        while sum(map(_bytes_at_work, self._runs)) > self._budget():
            self._step(_LONGEST_WAIT_S)

    def _budget(self) -> int:
        return self._budget_bytes() if callable(self._budget_bytes) else self._budget_bytes

    def _finish(self) -> None:
        for live in self._live.values():
            for origin in self.inventory.runs[live.started.run_id].origins:
                live.give_up(origin)
        while any(True for _ in self._runs):
            self._step(_LONGEST_WAIT_S)

    def _step(self, wait_s: float) -> None:
        """Wait for workers, at most `wait_s`, and commit what they and the files gave."""
        wait_s = min(wait_s, max(0.0, self._runs.next_commit() - time.monotonic()))
        if wait_s > 0:
            select.select([self._workers.wakeup_fd, self._wakeup.fileno()], [], [], wait_s)
        self._wakeup.clear()
        if self._workers.poll():
            self._runs.stir()
        now = time.monotonic()
        for _ in self._runs.commit(now):
            pass
        failing = next((run.folder for run in self._runs if run.failing), None)
        if failing is not None:
            raise SinkError(
                f"results cannot be written to {failing}: make room and give the same command again"
            )
        self._runs.tick(now)

    def _outcome(self) -> Replayed:
        runs = [
            ReplayedRun(
                held.run_name, Path(self._runs.folder_of(held.run_name)), self._missing.say(held)
            )
            for held in self.inventory.runs.values()
        ]
        return Replayed(runs, self._missing.damage())


def _ranks_beside(held: HeldRun, producer: HeldOrigin) -> list[HeldOrigin]:
    """All ranks of one start: none is released before it is known that the others are there."""
    incarnation = producer.origin.incarnation
    return [held.origins[o] for o in sorted(held.origins) if o.incarnation == incarnation]


def _bytes_at_work(run: LiveRun) -> int:
    return run.waiting_bytes.total() - run.pipeline.held_bytes
