"""Which validation tiles the run's tests of attention against tissue are made on.

All pairs of tiles are compared, so there are at most `MOST_TILES` of them, distinct, chosen by a
hash of their ids: which ones depends on the tiles of the epoch only, not on their order. Their
maps are kept for the last two validation epochs, so that one that is broken off leaves a whole
one behind. Maps of other tiles go as their rows are released.
"""

from typing import Final

from analyzer_service.analyses.tile_choice import MOST_TILES, tile_key
from analyzer_service.commit.store import Store
from shared.messages import BatchMetrics

MOST_BYTES: Final = 64 << 20
"""Size of an epoch's maps from which on no further tile is kept."""


class ProbeTiles:
    """Keeps the chosen tiles as rows are released.

    Every method runs inside a transaction of the store.
    """

    def __init__(self, store: Store) -> None:
        self._connection = store.connection

    def keep(self, batch: BatchMetrics, frame: int) -> None:
        """Choose among the tiles of a released validation frame."""
        query = (
            "SELECT t.position, length(t.maps), json_extract(s.sample, '$.id') FROM tile_maps t "
            "JOIN samples s ON s.frame = t.frame AND s.position = t.position WHERE t.frame = ?"
        )
        tiles = self._connection.execute(query, (frame,)).fetchall()
        if not tiles:
            return
        self._leave_earlier(batch.epoch)
        for position, nbytes, id_ in tiles:
            self._put(batch, frame, position, (tile_key(id_), nbytes))
        self._leave_beyond(batch.epoch)
        self._connection.execute(
            "DELETE FROM tile_maps WHERE frame = ? AND position NOT IN "
            "(SELECT position FROM probe_tiles WHERE frame = ?)",
            (frame, frame),
        )

    def leave_superseded(self) -> None:
        """Choose no tile of a row that is superseded now."""
        self._delete(
            "frame IN (SELECT frame FROM batches WHERE superseded = 1 AND frame IS NOT NULL)"
        )

    def _put(self, batch: BatchMetrics, frame: int, position: int, tile: tuple[str, int]) -> None:
        """Choose a tile; the same one of a later place gives way, whichever was released first."""
        (key, nbytes), place = tile, (batch.rank, batch.phase_step, position)
        later = "(rank, phase_step, position) > (?, ?, ?)"
        self._delete(f"epoch = ? AND key = ? AND {later}", batch.epoch, key, *place)
        self._connection.execute(
            "INSERT INTO probe_tiles (epoch, key, frame, rank, phase_step, position, nbytes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (batch.epoch, key, frame, *place, nbytes),
        )

    def _leave_earlier(self, epoch: int) -> None:
        """Let go of all but the latest epoch before `epoch`."""
        self._delete(
            "epoch < (SELECT max(epoch) FROM probe_tiles WHERE epoch < ?)",
            epoch,
        )

    def _leave_beyond(self, epoch: int) -> None:
        """Keep the first tiles in the order of their keys, as many as may be.

        The one that fills the space is kept: without it there would be room again, for tiles
        that come after it in that order and have smaller maps.
        """
        query = "SELECT key, nbytes FROM probe_tiles WHERE epoch = ? ORDER BY key"
        total = 0
        for place, (key, nbytes) in enumerate(self._connection.execute(query, (epoch,)).fetchall()):
            if place >= MOST_TILES or total >= MOST_BYTES:
                self._delete("epoch = ? AND key >= ?", epoch, key)
                return
            total += nbytes

    def _delete(self, where: str, *given: int | str) -> None:
        self._connection.execute(
            "DELETE FROM tile_maps WHERE (frame, position) IN "
            f"(SELECT frame, position FROM probe_tiles WHERE {where})",
            given,
        )
        self._connection.execute(f"DELETE FROM probe_tiles WHERE {where}", given)
