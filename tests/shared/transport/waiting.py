"""Waiting for what another thread or process does, with a deadline."""

import time
from collections.abc import Callable


def until(happened: Callable[[], bool], timeout_ms: int) -> bool:
    """Whether `happened` becomes true within `timeout_ms`."""
    deadline = time.monotonic() + timeout_ms / 1000
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
