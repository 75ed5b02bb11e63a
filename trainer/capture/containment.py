"""The edge between training and the sidecar: errors of ours end here, counted."""

import logging
from types import TracebackType

log = logging.getLogger(__name__)


class Containment:
    """Takes exceptions that must not reach training: swallows, counts, logs the first.

    As a context manager it takes what a block raises. What runs in every step has an ``except``
    clause of its own and calls `take`: it costs nothing as long as nothing is raised.

    Attributes
    ----------
    failures : int
        How many were swallowed.
    """

    def __init__(self) -> None:
        self.failures = 0

    def take(self, error: Exception) -> None:
        """Count an exception that was caught."""
        self.failures += 1
        if self.failures == 1:
            log.error(
                "watching a step failed; training goes on, further ones are counted",
                exc_info=error,
            )

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.take(error)
        return True
