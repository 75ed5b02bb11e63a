"""How many calls make a chunk: enough that its way to a cluster and back costs little."""

from collections import defaultdict, deque
from collections.abc import Sequence
from statistics import median
from typing import Final

CHUNK_MS: Final = 100.0
MOST_CALLS: Final = 64
MOST_BYTES: Final = 8 << 20
_FIRST_GUESS_MS: Final = 25.0
_REMEMBERED: Final = 15


class Gathering:
    """Knows how long calls took, and so how many of those that wait make a chunk.

    Examples
    --------
    >>> gathering = Gathering()
    >>> gathering.cut([("frame", 1000)] * 6), gathering.cut([("frame", 1000)] * 3)
    ((4, True), (3, False))
    >>> for _ in range(3):
    ...     gathering.note("frame", 10.0)
    >>> gathering.cut([("frame", 1000)] * 12)
    (10, True)
    """

    def __init__(self) -> None:
        self._took_ms: defaultdict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=_REMEMBERED)
        )

    def note(self, name: str, took_ms: float) -> None:
        """A call of that name took so long."""
        self._took_ms[name].append(took_ms)

    def cut(self, waiting: Sequence[tuple[str, int]]) -> tuple[int, bool]:
        """How many of the first calls, by name and bytes, go together, and whether that is full."""
        work_ms, nbytes = 0.0, 0
        for count, (name, size) in enumerate(waiting):
            nbytes += size
            if count and nbytes > MOST_BYTES:
                return count, True
            work_ms += self._expected_ms(name)
            if work_ms >= CHUNK_MS or count + 1 == MOST_CALLS:
                return count + 1, True
        return len(waiting), False

    def _expected_ms(self, name: str) -> float:
        took_ms = self._took_ms[name]
        return median(took_ms) if took_ms else _FIRST_GUESS_MS
