"""Validation tiles that come again step after step: what they show can be compared over time."""

from collections.abc import Iterable
from dataclasses import dataclass

from analyzer_service.commit.kept_steps import Appearance


@dataclass(frozen=True, slots=True)
class RecurringTile:
    """A tile and every step at which it is kept, in order, once for each global step."""

    id: str
    places: list[Appearance]


def recurring_tiles(appearances: Iterable[Appearance]) -> list[RecurringTile]:
    """Tiles that are kept at two or more steps, in the order in which they first come."""
    places: dict[str, dict[int, Appearance]] = {}
    for each in appearances:
        places.setdefault(each.id, {}).setdefault(each.global_step, each)
    return [
        RecurringTile(id_, list(steps.values())) for id_, steps in places.items() if len(steps) > 1
    ]
