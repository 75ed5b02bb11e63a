"""What a `SidecarCallback` holds of the fit that it watches, from its start to its end."""

from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl

from shared.messages import RunStatus
from trainer.capture.containment import Containment
from trainer.capture.counters import RunCounters
from trainer.capture.options import SidecarOptions
from trainer.capture.run_results import results_of
from trainer.results import RunResults

if TYPE_CHECKING:  # with the sidecar off, none of this is imported
    from trainer.capture.session import FitSession
    from trainer.publish import Publisher, PublishOutcome
    from trainer.publish.local import LocalAnalyzer


class FitWatch(pl.Callback):
    """Session, publisher and analyzer of the fit that runs; what a checkpoint keeps of the run."""

    def __init__(self, options: SidecarOptions) -> None:
        self.options = options
        self.counters = RunCounters()
        if options.run_name is not None:
            self.counters.run_name = options.run_name
        self.outcome: PublishOutcome | None = None
        self._contained = Containment()
        self._scales_loss = True
        self._session: FitSession | None = None
        self._publisher: Publisher | None = None
        self._analyzer: LocalAnalyzer | None = None

    @property
    def results(self) -> RunResults:
        """What the analyzer has found so far, wherever that is known."""
        said = None if self.outcome is None else self.outcome.run_folder
        return results_of(self.options, self.counters.run_name, said)

    @property
    def failures(self) -> int:
        """How many times watching a step failed; training went on."""
        return self._contained.failures

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint carries over to the run's next start."""
        return self.counters.state_dict() if self.options.enabled else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting where the checkpoint was saved."""
        if state_dict:
            self.counters = RunCounters.of_state(state_dict)
            if self.options.run_name is not None:
                self.counters.run_name = self.options.run_name

    def __getstate__(self) -> dict[str, Any]:
        # A copy, for a worker or by ``copy``, watches nothing: what runs belongs to this one.
        return self.__dict__ | {"_session": None, "_publisher": None, "_analyzer": None}

    def _put_aside(self) -> Any:
        """Forget a run that another process, of which this is a fork, goes on with."""
        running = self._session, self._publisher, self._analyzer
        if self._session is not None:
            self._session.unhook()
        self._session = self._publisher = self._analyzer = None
        return running

    def _wait_for_data(self, trainer: pl.Trainer) -> None:
        if self._session is not None:
            self._session.epoch = trainer.current_epoch
            self._session.timer.idle_since_s = perf_counter()

    def _close(self, status: RunStatus, reason: str | None, timeout_s: float) -> None:
        session, publisher, analyzer = self._session, self._publisher, self._analyzer
        self._session = self._publisher = self._analyzer = None
        if session is None or publisher is None:
            return
        from trainer.capture.closing import close_run

        with self._contained:
            session.remove_hooks()
        with self._contained:
            try:
                self.outcome = close_run(
                    publisher, analyzer, status, reason=reason, timeout_s=timeout_s
                )
            except BaseException:  # interrupted, say
                self.outcome = publisher.close()
                raise
