"""How alike a tile's attention is in consecutive validation epochs, found as rows are released.

A tile is compared with the same tile (by sample id) in the latest earlier validation epoch of
its rank that is not superseded. What it is compared with depends on the rows released before it
only, so a live run and its replay agree. Of each rank the maps of the last two validation epochs
are kept, `MAX_EPOCH_BYTES` an epoch; after a resume from further back the first validation epoch
has nothing to be compared with. A comparison that was made is kept when its maps are not, so a
rebuild makes the same rows.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from analyzer_service.analyses.frame import TEMPORAL
from analyzer_service.commit.comparisons import Comparisons, Place, Values
from analyzer_service.commit.maps import MAX_EPOCH_BYTES
from analyzer_service.commit.store import FoundFrame, Store
from shared.messages import BatchMetrics

_SUFFIX: Final = f"_{TEMPORAL}"


class _Tile(NamedTuple):
    """A tile of the frame at hand, with its numbers as they are stored."""

    position: int
    sample: str
    name_list: int
    metrics: bytes


@dataclass
class _OpenEpoch:
    """A rank's latest validation epoch; `before` says where the tiles of the one before stand."""

    epoch: int
    before: dict[str, Place]
    nbytes: int


class TemporalConsistency:
    """Fills in what the analysis of a single frame leaves open.

    Every method runs inside a transaction of the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store.connection
        self._comparisons = Comparisons(store)
        self._epochs: dict[int, _OpenEpoch] = {}

    def forget(self) -> None:
        """Hold nothing that the database may contradict."""
        self._epochs.clear()

    def leave_superseded(self) -> None:
        """Compare nothing with rows that are superseded now."""
        query = (
            "SELECT r.frame FROM recent_frames r JOIN batches b ON b.release = r.release "
            "WHERE b.superseded = 1"
        )
        self._leave(query)
        self.forget()

    def fill(self, batch: BatchMetrics, frame: FoundFrame, release: int) -> Values | None:
        """Part of the row of `batch` with the means over its tiles, which get theirs as well."""
        keys = [name for name in frame.part or () if name.endswith(_SUFFIX)]
        if frame.part is None or batch.phase != "val" or not keys:
            return frame.part
        epoch = self._open(batch.rank, batch.epoch)
        tiles = self._tiles(frame.id)
        places = {tile.position: epoch.before.get(tile.sample) for tile in tiles}
        found = self._comparisons.of(frame.id, places)
        undefined = dict.fromkeys(keys, math.nan)
        values = [undefined | found.get(tile.position, {}) for tile in tiles]
        for tile, numbers in zip(tiles, values, strict=True):
            self._put(frame.id, tile, numbers)
        self._keep(epoch, (batch.rank, frame.id, release))
        return frame.part | {key: _mean(numbers[key] for numbers in values) for key in keys}

    def _open(self, rank: int, epoch: int) -> _OpenEpoch:
        opened = self._epochs.get(rank)
        if opened is None or opened.epoch != epoch:
            opened = self._epochs[rank] = self._read_epoch(rank, epoch)
        return opened

    def _read_epoch(self, rank: int, epoch: int) -> _OpenEpoch:
        query = (
            "SELECT max(epoch) FROM batches "
            "WHERE phase = 'val' AND superseded = 0 AND rank = ? AND epoch < ?"
        )
        (before,) = self._connection.execute(query, (rank, epoch)).fetchone()
        query = "SELECT frame FROM recent_frames WHERE rank = ? AND epoch NOT IN (?, ?)"
        self._leave(query, rank, epoch, -1 if before is None else before)
        query = (
            "SELECT json_extract(s.sample, '$.id'), r.frame, s.position FROM recent_frames r "
            "JOIN samples s ON s.frame = r.frame WHERE r.rank = ? AND r.epoch = ? "
            "ORDER BY r.release, s.position"
        )
        found = self._connection.execute(query, (rank, before))
        places = {sample: Place(frame, position) for sample, frame, position in found}
        query = "SELECT total(nbytes) FROM recent_frames WHERE rank = ? AND epoch = ?"
        (nbytes,) = self._connection.execute(query, (rank, epoch)).fetchone()
        return _OpenEpoch(epoch, places, int(nbytes))

    def _tiles(self, frame: int) -> list[_Tile]:
        query = (
            "SELECT position, json_extract(sample, '$.id'), name_list, metrics FROM samples "
            "WHERE frame = ? ORDER BY position"
        )
        return [_Tile(*found) for found in self._connection.execute(query, (frame,))]

    def _put(self, frame: int, tile: _Tile, numbers: Values) -> None:
        lists = self._store.lists
        stored = lists.pack(lists.unpack(tile.name_list, tile.metrics) | numbers)
        if stored != (tile.name_list, tile.metrics):
            self._connection.execute(
                "UPDATE samples SET name_list = ?, metrics = ? WHERE frame = ? AND position = ?",
                (*stored, frame, tile.position),
            )

    def _keep(self, epoch: _OpenEpoch, row: tuple[int, int, int]) -> None:
        """Keep the maps of a released frame for the next epoch, if there is room for them."""
        rank, frame, release = row
        query = "SELECT nbytes FROM maps WHERE frame = ?"
        found = self._connection.execute(query, (frame,)).fetchone()
        if found is None:
            return
        if epoch.nbytes + found[0] > MAX_EPOCH_BYTES:
            self._leave("SELECT ?", frame)
            return
        epoch.nbytes += found[0]
        self._connection.execute(
            "INSERT INTO recent_frames VALUES (?, ?, ?, ?, ?)",
            (release, rank, epoch.epoch, frame, found[0]),
        )

    def _leave(self, query: str, *given: int) -> None:
        """Compare nothing with the frames that `query` finds any more."""
        frames = self._connection.execute(query, given).fetchall()
        if not self._store.get("rebuild_due"):  # which would release them once more
            self._connection.executemany("UPDATE maps SET maps = NULL WHERE frame = ?", frames)
        self._connection.executemany("DELETE FROM recent_frames WHERE frame = ?", frames)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
