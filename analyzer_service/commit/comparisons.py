"""Correlations between the attention maps of one tile in two frames, kept once they are made."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from analyzer_service.analyses.agreement import paired_correlations
from analyzer_service.analyses.frame import TEMPORAL
from analyzer_service.commit.maps import Maps, unpack_maps
from analyzer_service.commit.store import Store
from shared.naming import attention_key

Values = dict[str, float]


class Place(NamedTuple):
    """Where a tile stands: its frame, and its position there."""

    frame: int
    position: int


class Comparisons:
    """A comparison is a function of two frames, so it holds whatever is released again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store.connection

    def of(self, frame: int, places: Mapping[int, Place | None]) -> dict[int, Values]:
        """Numbers of the tiles of `frame` by position, of those that can be compared.

        `places` says where each tile stood before; None leaves it out.
        """
        found: dict[int, Values] = {}
        open_pairs = defaultdict[int, list[tuple[int, int]]](list)
        for position, place in places.items():
            if place is None:
                continue
            known = self._known(frame, position, place.frame)
            if known is None:
                open_pairs[place.frame].append((position, place.position))
            else:
                found[position] = known
        for previous, pairs in open_pairs.items():
            found |= self._compare(frame, previous, pairs)
        return found

    def _known(self, frame: int, position: int, previous: int) -> Values | None:
        query = (
            "SELECT name_list, metrics FROM comparisons "
            "WHERE frame = ? AND position = ? AND previous = ?"
        )
        found = self._connection.execute(query, (frame, position, previous)).fetchone()
        return None if found is None else self._store.lists.unpack(*found)

    def _compare(
        self, frame: int, previous: int, pairs: list[tuple[int, int]]
    ) -> dict[int, Values]:
        now, then = self._maps(frame), self._maps(previous)
        if now is None or then is None:
            return {}
        positions, earlier = ([pair[side] for pair in pairs] for side in (0, 1))
        columns = {
            attention_key(layer, TEMPORAL): paired_correlations(
                now[layer][positions], then[layer][earlier]
            )
            for layer in now
            if layer in then and now[layer].shape[1:] == then[layer].shape[1:]
        }
        values = {
            position: {key: float(column[i]) for key, column in columns.items()}
            for i, position in enumerate(positions)
        }
        self._connection.executemany(
            "INSERT INTO comparisons VALUES (?, ?, ?, ?, ?)",
            [
                (frame, position, previous, *self._store.lists.pack(numbers))
                for position, numbers in values.items()
            ],
        )
        return values

    def _maps(self, frame: int) -> dict[str, Maps] | None:
        query = "SELECT layers, maps FROM maps WHERE frame = ? AND maps IS NOT NULL"
        found = self._connection.execute(query, (frame,)).fetchone()
        return None if found is None else unpack_maps(*found)
