"""Which tiles of a run are tested against one another, when there are too many for all pairs."""

import hashlib
from collections.abc import Iterable
from typing import Final

MOST_TILES: Final = 512


def choose_tiles(ids: Iterable[str], limit: int = MOST_TILES) -> list[str]:
    """Choose at most `limit` distinct tiles by a hash of their ids.

    The choice depends neither on the order of `ids` nor on the machine, and may be made piece by
    piece: ``choose_tiles([*choose_tiles(a), *b])`` is ``choose_tiles([*a, *b])``.

    Returns
    -------
    list of str
        In the order of their hashes, so that a smaller limit gives a beginning of it.

    Examples
    --------
    >>> choose_tiles(["a", "b", "c", "b"], limit=2) == choose_tiles(["c", "b", "a"], limit=2)
    True
    """
    return sorted(set(ids), key=tile_key)[:limit]


def tile_key(tile: str) -> str:
    """Place of a tile in the choice: equal everywhere, unrelated to what the tile shows.

    Examples
    --------
    >>> tile_key("slide_3/0_128")
    '015f30534285d90691a69bfa56ec19bc'
    """
    return hashlib.blake2b(tile.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
