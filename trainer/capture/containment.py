"""The edge between training and the sidecar: errors of ours end here, counted."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class Containment:
    """Swallows exceptions, counts them, and logs the first one.

    Attributes
    ----------
    failures : int
        How many were swallowed.
    """

    def __init__(self) -> None:
        self.failures = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Run a block whose exceptions must not reach training."""
        try:
            yield
        except Exception:
            self.failures += 1
            if self.failures == 1:
                log.exception("watching a step failed; training goes on, further ones are counted")
