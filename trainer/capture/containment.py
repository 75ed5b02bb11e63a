"""The edge between training and the sidecar: errors of ours end here, counted."""

import logging
from types import TracebackType

log = logging.getLogger(__name__)


class Containment:
    """Runs blocks whose exceptions must not reach training: swallows, counts, logs the first.

    One object serves all blocks, and is no generator: the training thread enters several a step.

    Attributes
    ----------
    failures : int
        How many were swallowed.
    """

    def __init__(self) -> None:
        self.failures = 0

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
        self.failures += 1
        if self.failures == 1:
            log.error(
                "watching a step failed; training goes on, further ones are counted",
                exc_info=error,
            )
        return True
