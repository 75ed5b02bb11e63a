"""Who finds out how many bytes a capture keeps alive: the sender thread, as long as it keeps up."""

from typing import Final

_MOST_UNMEASURED: Final = 2


class Meter:
    """Counts captures that were not measured yet, and remembers what the last one took.

    Asking tensors for their storages takes the training thread longer than all else in a
    hand-over. So a capture counts as many bytes as the last one that was measured, and the sender
    measures it as it takes it over. The training thread measures by itself when two captures wait
    for that (the sender stands still), before anything was measured, and for good once a tensor
    was part of something much larger: that is copied rather than held. What is held unmeasured
    is therefore two steps at most, whatever happens.

    Each field is written by one thread only.

    Attributes
    ----------
    handed_over : int
        Captures that were not measured as they were made (training thread).
    measured : int
        Those of them that were measured since (sender thread).
    nbytes : int
        What the last of them keeps alive; 0 before there is one (sender thread).
    large_seen : bool
        Whether any tensor was part of something much larger (sender thread).
    """

    __slots__ = ("handed_over", "large_seen", "measured", "nbytes")

    def __init__(self) -> None:
        self.handed_over = 0
        self.measured = 0
        self.nbytes = 0
        self.large_seen = False

    @property
    def may_wait(self) -> bool:
        """Whether measuring the next capture may be left to the sender thread."""
        unmeasured = self.handed_over - self.measured
        return bool(self.nbytes) and unmeasured < _MOST_UNMEASURED and not self.large_seen
