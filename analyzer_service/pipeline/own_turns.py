"""When a measured frame gets its own analysis: once its batch is known, unless that is off."""

from collections.abc import Callable, Mapping

from analyzer_service.commit.own_results import OwnResults
from analyzer_service.commit.producers import Origin, ProducerState
from analyzer_service.commit.store import Store
from analyzer_service.pipeline.own_work import OwnWork
from analyzer_service.pipeline.upcoming import UpcomingBatches


class OwnTurns:
    """Looks through the frames that wait for their batch; `work` None: there never are any."""

    def __init__(self, store: Store, work: OwnWork | None, results: OwnResults) -> None:
        self._work = work
        self._results = results
        self._batches = UpcomingBatches(store)

    def adopt(self) -> None:
        """Note in the run's state whose analyses these are, inside a transaction."""
        if self._work is not None:
            self._results.adopt(self._work.source.name, self._work.source.sha256)

    def forget(self) -> None:
        """The run will be released again."""
        self._batches.forget()

    def advance(
        self,
        producers: Mapping[Origin, ProducerState],
        is_over: Callable[[ProducerState], bool],
    ) -> None:
        """Hand on every frame of which it is known what is to be done.

        One whose producer says nothing more, without a batch that names it, has no row: it is let
        go as it is.
        """
        work = self._work
        waiting = [] if work is None else list(work.waiting.items())
        read = {
            origin: self._batches.read(producers[origin])
            for origin in {frame.origin for _, frame in waiting}
        }
        for key, frame in waiting:
            assert work is not None, "it has the frames"
            state = producers[frame.origin]
            batch = self._batches.of(state, frame.reply.frame)
            if batch is None and not (read[frame.origin] and is_over(state)):
                continue
            if batch is None or self._results.is_off(batch.rank, work.source.identity):
                work.skip(key)
            else:
                work.submit(key, batch, state.started)
