"""Score nuclei segmentation against annotations, ours beside others', and time it.

    python benchmarks/nuclei.py [--repeats N] [--json FILE]

Per group of images and half of the group: means over the images of Dice, AJI and PQ, the
correlation of counts and their ratio, and the median time. Constants of ours were chosen on the
half named *tuned* only. The halves: within each group every other image, in the order of the
SHA-256 of the file name. Only 4 images are native H&E at 40x (`he_40x`): 2 a half. Times: calls
take turns, one thread. HistomicsTK takes part where it is installed.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import skimage
from measure.nuclei_images import FOLDER, Annotated, annotated
from measure.output import machine, parser, show
from measure.segmenters import Segmenter, contestants

from analyzer_service.analyses.instances import instance_scores

GROUPS = {
    "dsb2018": ("pink_HE", "purple_on_purple", "purple_on_white"),
    "dsb2018, pink_HE": ("pink_HE",),
    "dsb2018, purple_on_purple": ("purple_on_purple",),
    "dsb2018, purple_on_white": ("purple_on_white",),
    "tnbc, he_40x": ("he_40x",),
    "tnbc, he_40x_upscaled_1.25": ("he_40x_upscaled_1.25",),
}
AIMS = {"dsb2018": {"dice": 0.83, "aji": 0.50}, "tnbc, he_40x": {"dice": 0.70}}
TILES_MS = {128: 1.2, 256: 4.0}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=60, help="calls a tile is timed with")
    chosen = options.parse_args()
    cv2.setNumThreads(1)
    images = annotated()
    if not images:
        print(f"skipped: no annotated nuclei at {FOLDER}")
        return
    segmenters, missing = contestants()
    results = {
        "machine": machine(),
        "versions": {m.__name__: m.__version__ for m in (np, cv2, skimage)},
        "missing": missing,
        "scores": list(summaries(images, segmenters)),
        "tiles": list(tile_times(segmenters, chosen.repeats)),
    }
    show(results, print_tables, chosen.json)


def summaries(
    images: list[Annotated], segmenters: dict[str, Segmenter]
) -> Iterator[dict[str, Any]]:
    rows = defaultdict(list)
    for item in images:
        for name, scores in score(item, segmenters).items():
            rows[item.group, item.half, name].append(scores)
    for title, groups in GROUPS.items():
        for half in ("tuned", "held out"):
            for name in segmenters:
                members = [row for group in groups for row in rows[group, half, name]]
                yield {"group": title, "half": half, "method": name, **summary(members)}


def score(item: Annotated, segmenters: dict[str, Segmenter]) -> dict[str, dict[str, float]]:
    scores = {}
    for name, segment in segmenters.items():
        start = time.perf_counter()
        labels = segment(item.image, item.mpp)
        spent_ms = (time.perf_counter() - start) * 1e3
        counts = {"count": count(labels), "annotated": count(item.labels)}
        scores[name] = {**instance_scores(item.labels, labels), **counts, "ms": spent_ms}
    return scores


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    counts = np.array([(row["count"], row["annotated"]) for row in rows])
    means = {name: float(np.mean([row[name] for row in rows])) for name in ("dice", "aji", "pq")}
    enough = len(rows) > 2 and counts.std(axis=0).all()
    return {
        "images": len(rows),
        **{name: round(value, 3) for name, value in means.items()},
        "count_r": round(float(np.corrcoef(counts.T)[0, 1]), 3) if enough else None,
        "count_ratio": round(float(counts[:, 0].sum() / counts[:, 1].sum()), 2),
        "ms": round(statistics.median(row["ms"] for row in rows), 1),
    }


def count(labels: np.ndarray) -> int:
    return len(np.unique(labels[labels > 0]))


def tile_times(segmenters: dict[str, Segmenter], repeats: int) -> Iterator[dict[str, Any]]:
    """Median and best milliseconds a tile of the immunohistochemistry image."""
    source = skimage.data.immunohistochemistry()
    for size in TILES_MS:
        tile = np.ascontiguousarray(source[100:, 100:][:size, :size])
        taken = defaultdict(list)
        for _ in range(repeats):
            for name, segment in segmenters.items():
                start = time.perf_counter()
                segment(tile, None)
                taken[name].append((time.perf_counter() - start) * 1e3)
        for name, times in taken.items():
            median, best = round(statistics.median(times), 2), round(min(times), 2)
            yield {"size": size, "method": name, "ms": median, "best_ms": best}


def print_tables(results: dict[str, Any]) -> None:
    print(results["machine"], results["versions"])
    for name in results["missing"]:
        print(f"skipped: {name}")
    headings = ("Dice", "AJI", "PQ", "count r", "ratio", "ms")
    for row in results["scores"]:
        if row["method"] == "ours":
            print(f"\n{row['group']}, {row['half']}: {row['images']} images")
            print(" " * 24 + "".join(f"{heading:>9}" for heading in headings))
        values = (row[name] for name in ("dice", "aji", "pq", "count_r", "count_ratio", "ms"))
        print(f"{row['method']:<24}" + "".join(f"{'-' if v is None else v:>9}" for v in values))
    print("\nmilliseconds a tile: median, best")
    for row in results["tiles"]:
        print(f"{row['size']:>4}  {row['method']:<24}{row['ms']:>9}{row['best_ms']:>9}")
    print()
    for line in verdicts(results):
        print(line)


def verdicts(results: dict[str, Any]) -> Iterator[str]:
    """Each aim, judged by the held-out half; where the magnification is known, both ways."""
    for row in results["scores"]:
        stated = row["method"] == "ours, µm/px stated" and row["group"].startswith("tnbc")
        if row["half"] == "held out" and (row["method"] == "ours" or stated):
            for name, aim in AIMS.get(row["group"], {}).items():
                met = "met" if row[name] >= aim else "missed"
                yield f"aim {name} {aim} on {row['group']}, {row['method']}: {met} ({row[name]})"
    for row in results["tiles"]:
        if row["method"] == "ours":
            aim, best = TILES_MS[row["size"]], row["best_ms"]
            met = "met" if row["ms"] <= aim else "missed"
            yield f"aim {aim} ms at {row['size']}: {met} (median {row['ms']}, best {best})"


if __name__ == "__main__":
    main()
