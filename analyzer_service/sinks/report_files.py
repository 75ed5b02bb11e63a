"""Every file of a run's folder: its size and what it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from analyzer_service.sinks.health_file import FILE as HEALTH
from analyzer_service.sinks.report_wording import plural, size

LISTED_OF_A_KIND: Final = 10
_KINDS: Final = (
    ("train_batch_*.png", "dashboard of a training batch"),
    ("val_batch_*.png", "dashboard of a validation batch"),
    ("epoch_*_metrics.json", "statistics of one epoch, over batches and over tiles"),
    ("final_training_metrics.json", "every batch, with statistics and the run's facts"),
    ("final_summary_report.html", "this report with its plots, for a browser"),
    ("final_summary_report.md", "this report"),
    ("clinical_validation_report.md", "attention against annotations, by `validate`"),
    ("clinical_validation_report.json", "the same in numbers"),
    ("batch_metrics.*", "every batch, exported"),
    ("tile_metrics.*", "every analyzed tile, exported"),
    ("metrics.sqlite", "database that everything here is made from; still open"),
    ("*.mcap", "recording, for `python -m analyzer_service replay`"),
)
_FOLDERS: Final = {
    "frames": "images and maps of detailed batches",
    "annotations": "tiles to annotate, and what readers marked",
    "paper_figures": "figures for a paper, as PDF and PNG",
    "wandb": "W&B's own files of this run",
}


def inventory(folder: Path, *reports: str) -> list[list[str]]:
    """Rows of name, size, what it is; sorted by kind, folders below summed up.

    The `reports`, which are being written, and the database, which is open and has a part of its
    rows beside it, are listed without a size.
    More than `LISTED_OF_A_KIND` files of one kind are one row, with their count.
    """
    files = sorted({*filter(_is_result, folder.iterdir()), *(folder / name for name in reports)})
    unsized = {f"`{name}`" for name in (*reports, "metrics.sqlite")}
    rows: list[list[str]] = []
    for pattern, meaning in _KINDS:
        matching = [path for path in files if path.match(pattern)]
        rows += _listed(matching, pattern, meaning)
        files = [path for path in files if path not in matching]
    rows += _listed(files, "*", "other file")
    for row in rows:
        row[1] = "–" if row[0] in unsized else row[1]
    return rows + [_summed(path) for path in sorted(folder.iterdir()) if path.is_dir()]


def _listed(paths: list[Path], pattern: str, meaning: str) -> list[list[str]]:
    if len(paths) > LISTED_OF_A_KIND:
        total = sum(map(_size_of, paths))
        return [[f"`{pattern}`", size(total), f"{meaning} ({plural(len(paths), 'file')})"]]
    return [[f"`{path.name}`", size(_size_of(path)), meaning] for path in paths]


def _summed(folder: Path) -> list[str]:
    sizes = [_size_of(path) for path in _inside(folder)]
    meaning = _FOLDERS.get(folder.name, "other folder")
    return [f"`{folder.name}/`", size(sum(sizes)), f"{meaning} ({plural(len(sizes), 'file')})"]


def _inside(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _is_result(path: Path) -> bool:
    """Whether a replay would write it, too, or a user put it there."""
    passing = path.suffix == ".tmp" or path.name.startswith("metrics.sqlite-")
    passing = passing or path.name == HEALTH
    return path.is_file() and not passing


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a temporary file of another writer, gone by now
        return 0
