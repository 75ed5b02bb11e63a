"""Tissue with annotated nuclei, in two halves: one to tune on, one to judge by."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "nuclei"
MAGNIFIED = {"he_40x": 0.25, "he_40x_upscaled_1.25": 0.2}  # µm/px; the other images state none


@dataclass(frozen=True)
class Annotated:
    name: str
    group: str
    half: str
    image: np.ndarray
    labels: np.ndarray

    @property
    def mpp(self) -> float | None:
        return MAGNIFIED.get(self.group)


def annotated(folder: Path = FOLDER) -> list[Annotated]:
    """Read all images, alpha left out; none if the folder is not there."""
    if not (folder / "index.csv").exists():
        return []
    with (folder / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [
        Annotated(
            name=Path(row["image"]).stem,
            group=row["group"],
            half=half,
            image=cv2.cvtColor(cv2.imread(str(folder / row["image"])), cv2.COLOR_BGR2RGB),
            labels=cv2.imread(str(folder / row["labels"]), cv2.IMREAD_UNCHANGED).astype(np.int32),
        )
        for row, half in halves(rows)
    ]


def halves(rows: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], str]]:
    """Within each group every other image, in the order of the SHA-256 of its file name."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row)
    for members in groups.values():
        members.sort(key=lambda row: hashlib.sha256(Path(row["image"]).name.encode()).hexdigest())
        for i, row in enumerate(members):
            yield row, "held out" if i % 2 else "tuned"
