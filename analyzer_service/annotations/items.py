"""One annotation of a file after another: read, or named as what could not be."""

from dataclasses import dataclass

from pydantic import ValidationError

from analyzer_service.annotations.regions import Fault, Region


@dataclass(frozen=True, slots=True)
class Item:
    """What one annotation came to: a region or none, and what was wrong with it."""

    region: Region | None
    faults: tuple[Fault, ...] = ()


def refused(kind: str, where: str, what: str) -> Item:
    """An annotation that is left out, and why."""
    return Item(None, (Fault(kind, where, what),))


def repaired(region: Region, where: str, repairs: frozenset[str]) -> Item:
    """An annotation that is used after `repairs`."""
    return Item(region, tuple(Fault(kind, where) for kind in sorted(repairs)))


def in_words(error: ValidationError) -> str:
    """The first thing that was wrong with what came in, and where in it."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
