"""How long frames may be on their way to an analyzer that has none of them."""

from typing import Final

from shared.protocol import SILENCE_LIMIT_S

_LONGEST_S: Final = 300.0


class Patience:
    """Tells frames that were lost in a connection from such as take their time.

    Nothing tells when a byte has arrived, so time must: 5 s without a confirmation, twice as long
    after each time that it was in vain to send them again, and twice as long as the last
    confirmation took. So a frame that needs 8 s on a slow link gets through at the second try,
    those behind it at the first.

    Examples
    --------
    >>> patience = Patience()
    >>> patience.begin(0.0)
    >>> patience.is_over(5.0), patience.is_over(5.1)
    (False, True)
    >>> patience.in_vain(5.1)
    >>> patience.is_over(15.1), patience.is_over(15.2)
    (False, True)
    >>> patience.confirmed(15.1)
    >>> patience.is_over(35.1), patience.is_over(35.2)
    (False, True)
    """

    def __init__(self) -> None:
        self._limit_s = SILENCE_LIMIT_S
        self._since_s = float("inf")

    def begin(self, now_s: float) -> None:
        """The first frame is sent."""
        self._since_s = now_s

    def confirmed(self, now_s: float) -> None:
        """A frame arrived."""
        took_s = max(0.0, now_s - self._since_s)
        self._limit_s = min(_LONGEST_S, max(SILENCE_LIMIT_S, 2 * took_s))
        self._since_s = now_s

    def in_vain(self, now_s: float) -> None:
        """The frames count as lost and are sent again."""
        self._limit_s = min(_LONGEST_S, 2 * self._limit_s)
        self._since_s = now_s

    def is_over(self, now_s: float) -> bool:
        """Tell whether the frames on their way count as lost."""
        return now_s - self._since_s > self._limit_s
