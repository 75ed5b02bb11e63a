"""How the metrics changed from epoch to epoch: their means, in bounded memory."""

from collections.abc import Mapping
from typing import Any, Final

from analyzer_service.sinks.moments import Table
from analyzer_service.sinks.plain import in_order

HELD_EPOCHS: Final = 2


class Evolution:
    """Means of every metric for each epoch of each phase.

    The last `HELD_EPOCHS` epochs of a phase are held in detail, because rows of several ranks
    may cross an epoch's end at different times; of older ones only the means are kept.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[int, str], Table] = {}
        self._closed: dict[tuple[int, str], dict[str, Any]] = {}

    def add(self, phase: str, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Take one row's metrics."""
        self._table(phase, epoch).add(metrics)

    def means(self) -> list[dict[str, Any]]:
        """One dict per epoch and phase, ascending: `epoch`, `phase`, `batches`, then means."""
        for key in list(self._open):
            self._close(key)
        return [self._closed[key] for key in sorted(self._closed)]

    def _table(self, phase: str, epoch: int) -> Table:
        table = self._open.get((epoch, phase))
        if table is None:
            table = self._open[epoch, phase] = Table()
            for key in [key for key in self._open if key[1] == phase]:
                if key[0] <= epoch - HELD_EPOCHS:
                    self._close(key)
        return table

    def _close(self, key: tuple[int, str]) -> None:
        table = self._open.pop(key)
        columns = table.columns()
        means = {name: columns[name].moments.mean for name in in_order(columns)}
        head = {"epoch": key[0], "phase": key[1], "batches": table.rows}
        self._closed[key] = head | means | head
