"""NaN and infinity: in what the trainer says, and in attention maps."""

import math
from dataclasses import dataclass, field

from analyzer_service.alerts.reading import Reading, SeenRow, Worst
from shared.messages import Phase


@dataclass(kw_only=True)
class NotFiniteRule:
    """Bad when the loss or the MSE that a trainer gave is NaN or infinite.

    Of a `layer`: when it has maps that are. Good after `clear` rows in a row without.
    """

    clear: int
    layer: str | None = None
    name: str = "not_finite"
    phase: Phase | None = None
    worst: Worst = "high"
    of_process: bool = False
    _finite: int = field(init=False, default=0)
    _what: str = field(init=False, default="")

    def look(self, row: SeenRow) -> Reading | None:
        """Take a row in; None where it says nothing of the kind."""
        count = self._count(row)
        if count is None:
            return None
        self._finite = 0 if count else self._finite + 1
        return Reading(count, bad=count > 0, good=self._finite >= self.clear)

    def sentence(self) -> str:
        """What is not finite, and what to look at."""
        return self._what

    def _count(self, row: SeenRow) -> float | None:
        if self.layer is not None:
            return self._undefined(row, self.layer)
        if not row.told:
            return None
        wrong = [name for name in sorted(row.told) if not math.isfinite(row.number(name))]
        if wrong:
            said = " and ".join(f"{name} is {row.number(name):g}" for name in wrong)
            phase = "training" if row.phase == "train" else "validation"
            self._what = (
                f"In {phase}, {said}: every weight may be lost from here on. Look at the learning "
                "rate, at mixed precision, and at the last input before this step."
            )
        return len(wrong)

    def _undefined(self, row: SeenRow, layer: str) -> float | None:
        count, tiles = row.number(f"attention_{layer}_undefined"), row.number("samples")
        if count != count or not tiles > 0:
            return None
        if count:
            self._what = (
                f"{count:g} of {tiles:g} attention maps of {layer} have NaN or infinity in them, "
                "or are too small to be measured. Look at the loss, at mixed precision, and at "
                "the layer's size."
            )
        return count
