"""When a measured frame gets its own analysis: once its batch is known, unless that is off."""

from collections.abc import Callable, Mapping

from analyzer_service.commit.own_results import OwnResults
from analyzer_service.commit.producers import Origin, ProducerState
from analyzer_service.commit.store import Store
from analyzer_service.pipeline.own_work import Key, MeasuredFrame, OwnWork
from analyzer_service.pipeline.upcoming import UpcomingBatches


class OwnTurns:
    """Looks through the frames that wait for their batch."""

    def __init__(self, store: Store, work: OwnWork, results: OwnResults) -> None:
        self._work = work
        self._results = results
        self._batches = UpcomingBatches(store)
        source = work.source
        results.adopt(source.name, source.sha256)

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
        waiting = list(self._work.waiting.items())
        read = {
            origin: self._batches.read(producers[origin])
            for origin in {frame.origin for _, frame in waiting}
        }
        for key, frame in waiting:
            state = producers[frame.origin]
            if not self._start(key, frame, state) and read[frame.origin] and is_over(state):
                self._work.skip(key)

    def _start(self, key: Key, frame: MeasuredFrame, state: ProducerState) -> bool:
        batch = self._batches.of(state, frame.reply.frame)
        if batch is None:
            return False
        if self._results.is_off(batch.rank, self._work.source.identity):
            self._work.skip(key)
        else:
            self._work.submit(key, batch, state.started)
        return True
