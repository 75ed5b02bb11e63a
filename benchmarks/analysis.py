"""Time the analyses of one tile against scikit-image and scipy, both in this run.

    python benchmarks/analysis.py [--repeats N]

Prints a table, then the same numbers as JSON. Calls of a pair alternate, so that a busy machine
slows both; the figures are medians of single calls on one thread.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import scipy.ndimage
import scipy.stats
import skimage
from measure.made_frames import gates, make_frame, tile_pair
from measure.significance import PairwiseModifiedT, mismatched_pairings, strongest_shift
from measure.tile_features import Contest, tile_contests
from skimage.measure import block_reduce, label
from skimage.metrics import mean_squared_error, structural_similarity
from skimage.morphology import h_maxima

from analyzer_service.analyses.attention import attention_metrics, stack_metrics
from analyzer_service.analyses.density import excess
from analyzer_service.analyses.frame import analyze_frame
from analyzer_service.analyses.peaks import peak_metrics
from analyzer_service.analyses.quality import mse, ssim
from analyzer_service.analyses.significance import (
    mismatched_tile_test,
    modified_t_test,
    modified_t_tests,
    toroidal_shift_test,
)
from analyzer_service.analyses.tissue_facts import TissueFacts, named_vectors


@dataclass(frozen=True)
class Timing:
    step: str
    library_ms: float | None
    ours_ms: float
    ratio: float | None
    difference: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=60)
    repeats = parser.parse_args().repeats
    cv2.setNumThreads(1)
    timings = [
        *(time_ssim(size, repeats) for size in (128, 256)),
        time_mse(repeats),
        *(
            time_contest(contest, repeats)
            for size in (128, 256)
            for contest in tile_contests(tile_pair(size)[0])
        ),
        *(time_attention(kind, repeats) for kind in ("smooth", "noise")),
        time_peaks(repeats),
        time_stack(repeats),
        *time_frames(repeats),
        *(time_modified_t(size, repeats) for size in (16, 32)),
        *(time_modified_t_of_tiles(size, repeats) for size in (16, 32)),
        time_toroidal(repeats),
        *(time_mismatched(tiles, repeats) for tiles in (16, 512)),
    ]
    print_table(timings)
    versions = {m.__name__: m.__version__ for m in (np, cv2, scipy, skimage)}
    print(json.dumps({"versions": versions, "timings": [asdict(t) for t in timings]}, indent=2))


def time_ssim(size: int, repeats: int) -> Timing:
    x, y = tile_pair(size)

    def library() -> float:
        return float(
            structural_similarity(
                x / 255.0,
                y / 255.0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1.0,
                channel_axis=-1,
            )
        )

    return compare(f"SSIM, {size} x {size} RGB", library, lambda: ssim(x, y), repeats)


def time_mse(repeats: int) -> Timing:
    x, y = tile_pair(128)
    return compare(
        "MSE, 128 x 128 RGB",
        lambda: float(mean_squared_error(x / 255.0, y / 255.0)),
        lambda: mse(x, y),
        repeats,
    )


def time_contest(contest: Contest, repeats: int) -> Timing:
    if contest.library is None:
        return Timing(contest.step, None, time_calls([contest.ours], repeats)[0], None, None)
    library_ms, ours_ms = time_calls([contest.library, contest.ours], repeats)
    return Timing(contest.step, library_ms, ours_ms, library_ms / ours_ms, contest.difference)


def time_attention(kind: str, repeats: int) -> Timing:
    gate = gates(1)[0] if kind == "smooth" else np.random.default_rng(0).random((32, 32))
    expected, ours = library_metrics(gate), attention_metrics(gate)
    difference = max(abs(expected[name] - ours[name]) for name in expected)
    timing = compare(
        f"attention metrics, 32 x 32, {kind}",
        lambda: library_metrics(gate)["attention_entropy"],
        lambda: attention_metrics(gate)["attention_entropy"],
        repeats,
    )
    return Timing(**(asdict(timing) | {"difference": difference}))


def time_peaks(repeats: int) -> Timing:
    gate = gates(1)[0]
    excesses = excess(gate[None])
    return compare(
        "peaks alone, 32 x 32, smooth",
        lambda: float(library_peaks(excesses[0])),
        lambda: float(peak_metrics(excesses)["num_attention_peaks"][0]),
        repeats,
    )


def time_stack(repeats: int) -> Timing:
    maps = gates(16)
    ours = time_calls([lambda: stack_metrics(maps)], repeats)[0] / len(maps)
    return Timing("attention metrics, a map of 16 in a stack", None, ours, None, None)


def time_frames(repeats: int) -> list[Timing]:
    """Everything for one tile of a frame of 4; 20 is a step whose tiles are tested by Dutilleul.

    One kind after the other, as in a run: kinds that take turns would empty each other's caches.
    """
    cases = {
        "two gates, 128 x 128": make_frame(4, kan=False),
        "two gates, 256 x 256": make_frame(4, size=256, kan=False),
        "two gates, 128 x 128, tested": make_frame(4, step=20, kan=False),
        "two gates and two KAN maps, 128 x 128": make_frame(4),
    }
    facts = TissueFacts(named_vectors("ruifrok", "ihc"), mpp=0.5)
    taken = {
        name: time_calls([partial(analyze_frame, frame, facts)], repeats)[0]
        for name, frame in cases.items()
    }
    return [Timing(f"everything: {name}", None, ms / 4, None, None) for name, ms in taken.items()]


def time_modified_t(size: int, repeats: int) -> Timing:
    a, maps = gates(1, size)[0], gates(6, size)
    pairwise = PairwiseModifiedT(size)
    expected, ours = pairwise.p(a, maps), modified_t_test(a, maps).p
    difference = float(np.abs(ours - expected).max())
    timing = compare(
        f"Dutilleul, 6 maps {size} x {size}, against all pairs",
        lambda: pairwise.p(a, maps)[0],
        lambda: float(modified_t_test(a, maps).p[0]),
        repeats,
    )
    return Timing(**(asdict(timing) | {"difference": difference}))


def time_modified_t_of_tiles(size: int, repeats: int) -> Timing:
    layers, maps = gates(8, size).reshape(4, 2, size, size), gates(24, size)
    maps = maps.reshape(4, 6, size, size)
    ours = time_calls([lambda: modified_t_tests(layers, maps)], repeats)[0] / 4
    return Timing(
        f"Dutilleul, a tile of 4: 2 gates, 6 maps {size} x {size}", None, ours, None, None
    )


def time_toroidal(repeats: int) -> Timing:
    a, f = gates(2)
    return compare(
        "all toroidal shifts, 32 x 32",
        lambda: strongest_shift(a, f),
        lambda: toroidal_shift_test(a, f).max_abs_r,
        max(3, repeats // 10),
    )


def time_mismatched(tiles: int, repeats: int) -> Timing:
    maps, features = gates(2 * tiles).reshape(2, tiles, 32, 32)
    step = f"mismatched tiles, {tiles} of 32 x 32, 999 permutations"
    few = max(3, repeats // 10)

    def ours() -> float:
        return mismatched_tile_test(maps, features).matched_mean

    if tiles > 16:
        return Timing(step, None, time_calls([ours], few)[0], None, None)
    return compare(step, lambda: mismatched_pairings(maps, features, 999), ours, few)


def compare(
    step: str, library: Callable[[], float], ours: Callable[[], float], repeats: int
) -> Timing:
    library_ms, ours_ms = time_calls([library, ours], repeats)
    return Timing(step, library_ms, ours_ms, library_ms / ours_ms, abs(library() - ours()))


def time_calls(calls: list[Callable[[], Any]], repeats: int) -> list[float]:
    """Median milliseconds of each call, the calls taking turns."""
    for call in calls:
        call()
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, times in zip(calls, taken, strict=True):
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(times) for times in taken]


def library_metrics(gate: np.ndarray) -> dict[str, float]:
    """The pattern metrics of one map, each by the library call that defines it."""
    base = np.percentile(gate, 25)
    above = np.maximum(gate - base, 0)
    native = above / above.sum()
    cells = block_reduce(native, (gate.shape[0] // 8, gate.shape[1] // 8), np.sum).ravel()
    lorenz = np.concatenate([[0.0], np.cumsum(np.sort(cells))])
    entropy = scipy.stats.entropy(cells)
    height, width = gate.shape
    row, col = scipy.ndimage.center_of_mass(native)
    moments = cv2.moments(native)
    return {
        "attention_entropy": entropy,
        "attention_effective_area": np.exp(entropy) / 64,
        "attention_entropy_native_bits": scipy.stats.entropy(native.ravel(), base=2),
        "attention_concentration_10": 1 - np.interp(0.9, np.linspace(0, 1, 65), lorenz),
        "attention_sparsity": (cells < 0.1 * cells.max()).mean(),
        "attention_gini": np.abs(cells[:, None] - cells).mean() / (2 * cells.mean()),
        "attention_center_distance": math.hypot(row - (height - 1) / 2, col - (width - 1) / 2)
        / (0.5 * math.hypot(height, width)),
        "attention_spatial_variance": (moments["mu20"] + moments["mu02"] + 1 / 6)
        / ((height**2 + width**2) / 12),
        "num_attention_peaks": library_peaks(above),
        "attention_contrast": gate.std() / abs(gate.mean()),
    }


def library_peaks(above: np.ndarray) -> int:
    coarse = block_reduce(above, (above.shape[0] // 16, above.shape[1] // 16), np.sum)
    relief = (coarse - coarse.min()) / np.ptp(coarse)
    return int(label(h_maxima(relief, 0.2), connectivity=2).max())


def print_table(timings: list[Timing]) -> None:
    print(f"{'step':<52} {'library ms':>10} {'ours ms':>8} {'ratio':>6} {'difference':>11}")
    for t in timings:
        library = "-" if t.library_ms is None else f"{t.library_ms:.3f}"
        ratio = "-" if t.ratio is None else f"{t.ratio:.1f}x"
        difference = "-" if t.difference is None else f"{t.difference:.0e}"
        print(f"{t.step:<52} {library:>10} {t.ours_ms:>8.3f} {ratio:>6} {difference:>11}")


if __name__ == "__main__":
    main()
