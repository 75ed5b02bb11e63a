"""The speed of a replay."""


class Pace:
    """When each item is due, by the time at which it was captured.

    Parameters
    ----------
    speed : float or None
        How much faster than captured; None makes everything due at once.
    """

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._begun: tuple[int, float] | None = None

    @property
    def waits(self) -> bool:
        """Whether items may have to wait."""
        return self._speed is not None

    def until(self, captured_at_ns: int, now: float) -> float:
        """Seconds from the clock `now` until an item is due; 0 when it is.

        Examples
        --------
        >>> pace = Pace(2.0)
        >>> pace.until(1_000_000_000, now=50.0), pace.until(5_000_000_000, now=51.0)
        (0.0, 1.0)
        """
        if self._speed is None:
            return 0.0
        if self._begun is None:
            self._begun = captured_at_ns, now
        first_ns, begun = self._begun
        return max(0.0, begun + (captured_at_ns - first_ns) / 1e9 / self._speed - now)
