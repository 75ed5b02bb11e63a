"""Named numbers as one blob of float64, with their names kept once in `metric_names`."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

FLOAT: Final = np.dtype("<f8")
Names = tuple[str, ...]


def pack(values: Sequence[float] | NDArray[np.float64]) -> bytes:
    """Blob of `values`, NaN and infinity kept."""
    return np.asarray(values, dtype=FLOAT).tobytes()


def unpack(blob: bytes) -> NDArray[np.float64]:
    """Values of a blob that `pack` made, read-only."""
    return np.frombuffer(blob, dtype=FLOAT)


class NameLists:
    """The name lists of one database, by number; reads each only once.

    A writer gives new lists a number by `number`; a reader only asks for `names`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names: dict[int, Names] = {}
        self._numbers: dict[Names, int] = {}

    def names(self, number: int) -> Names:
        """Names of list `number`."""
        if number not in self._names:
            query = "SELECT names FROM metric_names WHERE id = ?"
            (text,) = self._connection.execute(query, (number,)).fetchone()
            self._names[number] = tuple(json.loads(text))
        return self._names[number]

    def number(self, names: Names) -> int:
        """Number of the list of exactly `names`, in this order; a new one where there is none."""
        if names not in self._numbers:
            text = json.dumps(names)
            self._connection.execute(
                "INSERT INTO metric_names (names) VALUES (?) ON CONFLICT DO NOTHING", (text,)
            )
            query = "SELECT id FROM metric_names WHERE names = ?"
            (self._numbers[names],) = self._connection.execute(query, (text,)).fetchone()
        return self._numbers[names]

    def forget(self) -> None:
        """Forget everything: a transaction that made lists was rolled back."""
        self._names.clear()
        self._numbers.clear()

    def pack(self, values: Mapping[str, float]) -> tuple[int, bytes]:
        """Number of the name list and the blob of `values`."""
        return self.number(tuple(values)), pack(list(values.values()))

    def unpack(self, number: int, blob: bytes) -> dict[str, float]:
        """Values by name, in the order in which they were packed."""
        return dict(zip(self.names(number), unpack(blob).tolist(), strict=True))
