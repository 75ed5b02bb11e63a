"""A comparison as tables and words, for the terminal and for files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analyzer_service.compare.results import Result, over_batches, over_tiles, over_time
from analyzer_service.compare.settings import differing
from analyzer_service.compare.sides import Side, read_side
from analyzer_service.sinks.report_wording import plural
from shared.errors import ConfigurationError

_CAVEAT: Final = (
    "Intervals (95 %, bootstrap) are over validation tiles that both runs showed: they hold for "
    "these two trained models. Training again with another seed may differ by more, so one run of "
    "each kind shows no effect of a setting."
)


@dataclass(frozen=True)
class ComparedTable:
    """A table: its title, its header, its rows of plain text, words under it.

    Cells of the columns `outside` hold text from outside.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    words: str = ""
    outside: tuple[int, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Runs side by side; differences are from the first run, and come first."""

    names: list[str]
    tables: list[ComparedTable]


def compare_runs(folders: Sequence[Path]) -> Comparison:
    """Read runs and put them side by side; the first is the one that others differ from.

    Raises
    ------
    ConfigurationError
        If there are fewer than two folders, or one holds no run.
    """
    if len(folders) < 2:
        raise ConfigurationError("compare takes at least two runs: compare RUN RUN…")
    sides = [read_side(folder) for folder in folders]
    names = _names(sides)
    return Comparison(
        names, [_settings(sides, names), _runs(sides, names), *_results(sides, names)]
    )


def _names(sides: Sequence[Side]) -> list[str]:
    """Names of the runs; folders of runs that have the same one are told by number."""
    names = [side.started.run_name for side in sides]
    return [
        f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def _settings(sides: Sequence[Side], names: list[str]) -> ComparedTable:
    differ, same = differing([side.started for side in sides])
    rows = [[name, *values] for name, values in differ.items()]
    words = f"{plural(same, 'setting')} are the same." if same != 1 else "1 setting is the same."
    if not rows:
        words = f"No setting differs; {words}"
    header = ["Setting", *names]
    return ComparedTable(
        "Settings that differ", header, rows, words, outside=tuple(range(len(header)))
    )


def _runs(sides: Sequence[Side], names: list[str]) -> ComparedTable:
    lines = {
        "Folder": [str(side.folder) for side in sides],
        "Status": [side.status for side in sides],
        "Last epoch": [_epoch(side) for side in sides],
        "Its batches, training": [f"{side.batches['train'].rows:,}" for side in sides],
        "Its batches, validation": [f"{side.batches['val'].rows:,}" for side in sides],
        "Its distinct validation tiles": [f"{len(side.tiles.samples):,}" for side in sides],
    }
    rows = [[name, *values] for name, values in lines.items()]
    return ComparedTable("Runs", ["", *names], rows, outside=tuple(range(1, len(names) + 1)))


def _epoch(side: Side) -> str:
    if side.epoch is None:
        return "none"
    return f"{side.epoch}" if side.ended else f"{side.epoch}, not ended"


def _results(sides: Sequence[Side], names: list[str]) -> list[ComparedTable]:
    parts = (
        (
            "Last epoch, over batches",
            over_batches(sides),
            "−",
            "Mean ± SD. Batches of an epoch depend on each other, so there is no interval.",
        ),
        (
            "Last epoch, over validation tiles",
            over_tiles(sides),
            "−",
            f"Mean ± SD. Attention is that of each run's primary layer. {_CAVEAT}",
        ),
        (
            "Speed and memory, last epoch",
            over_time(sides),
            "over",
            "Times hold for the machine and its load at the time.",
        ),
    )
    return [
        ComparedTable(title, _header(names, how), [_line(result) for result in results], words)
        for title, results, how, words in parts
        if results
    ]


def _header(names: list[str], how: str) -> list[str]:
    others = [part for name in names[1:] for part in (name, f"{name} {how} {names[0]}")]
    return ["", names[0], *others]


def _line(result: Result) -> list[str]:
    pairs = zip(result.values[1:], result.differences, strict=True)
    return [result.name, result.values[0], *(part for pair in pairs for part in pair)]
