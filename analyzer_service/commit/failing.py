"""What went wrong and was contained: counted always, said now and then."""

import logging
from collections import Counter

from analyzer_service.commit.store import Store

logger = logging.getLogger(__name__)


class Failures:
    """Counts in the store; of each kind the first, second, fourth, eighth … is logged.

    One may come with every frame of a run, and a log that grows with each fills a disk.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: Counter[str] = Counter()

    def count(self, kind: str, what: str, *, times: int = 1) -> None:
        """Count something that failed so often, inside a transaction; `what` is a sentence."""
        self._store.count_failure(kind, what, count=times)
        before = self._counts[kind]
        self._counts[kind] += times
        if self._counts[kind].bit_length() > before.bit_length():
            logger.error("%s%s", what, f" ({before} like it before)" if before else "")
