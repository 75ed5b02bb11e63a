"""How often each test calls unrelated attention and pathology related, and how often related ones.

    python benchmarks/calibration.py [--runs N] [--json FILE|-]

Everything is drawn anew: smooth fields in a window that does not wrap around, with and without an
artifact of the border that attention and feature share, with tiles that resemble one another by
slide; and the coverage of the bootstrap's intervals. A rate is given with its standard error. The
benchmark fails if the test of a run, the mismatched-tile test, leaves [0.03, 0.08] at 0.05.
"""

import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from measure import output  # noqa: E402
from measure.fields import Scene  # noqa: E402

from analyzer_service.analyses.significance import (  # noqa: E402
    cluster_bootstrap,
    correlation_matrix,
    mismatched_tile_test,
    modified_t_tests,
    tile_effects,
    toroidal_shift_test,
)

ALPHA = 0.05
ALLOWED = (0.03, 0.08)
LENGTHS = (0.05, 0.1, 0.2, 0.3)
BORDER = 0.7
RHO = 0.15
RUN_SIZES = (16, 64)
UNEQUAL = (2, 2, 4, 4, 8, 8, 16, 20)
WORDS = {
    "independent": "independent fields",
    "border": f"a border artifact of {BORDER} SD in both",
}


def main() -> int:
    parser = output.parser(__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="runs of a row (default: 1000)")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=scipy.stats.DegenerateDataWarning)
    runs = options.runs
    results = {
        "benchmark": "calibration",
        "alpha": ALPHA,
        "runs": runs,
        "machine": output.machine(),
        "type_1_error": [
            rates(kind, Scene(size, length, border=border), runs)
            for kind, border in (("independent", 0.0), ("border", BORDER))
            for size in (16, 32)
            for length in LENGTHS
        ],
        "power": [
            rates(kind, Scene(32, length, border=border, rho=RHO), runs // 4)
            for kind, border in (("independent", 0.0), ("border", BORDER))
            for length in LENGTHS
        ],
        "effect": [effect_coverage(name, scene, runs) for name, scene in effect_scenes().items()],
        "slides": [slide_rates(name, scene, runs) for name, scene in slide_scenes().items()],
        "coverage": [
            coverage(slides, skewed, runs)
            for skewed in (False, True)
            for slides in (2, 3, 5, 6, 8, 12, 20, 50)
        ],
    }
    results["within"] = within(results)
    output.show(results, show, options.json)
    return 0 if results["within"] else 1


def rates(kind: str, scene: Scene, runs: int) -> dict[str, Any]:
    """Share of runs, and of single tiles, that each test calls significant."""
    rng = np.random.default_rng([scene.size, int(100 * scene.length), int(10 * scene.border)])
    row: dict[str, Any] = {"kind": kind, "size": scene.size, "length": scene.length}
    for tiles in RUN_SIZES:
        tests = [run_p(*scene.draw(rng, tiles), seed=run) for run in range(runs)]
        row[f"mismatched_{tiles}_tiles"] = rate(tests)
    attention, feature = scene.draw(rng, 2 * runs)
    row["dutilleul"] = rate(modified_t_tests(attention, feature[:, None]).p)
    pairs = list(zip(attention, feature, strict=True))
    row["toroidal"] = rate([toroidal_shift_test(a, f).p for a, f in pairs])
    row["naive"] = rate([scipy.stats.pearsonr(a.ravel(), f.ravel()).pvalue for a, f in pairs])
    return row


def run_p(attention: np.ndarray, feature: np.ndarray, **options: Any) -> float:
    return mismatched_tile_test(attention, feature, **options).p


def slide_scenes() -> dict[str, Scene]:
    even = Scene(16, 0.2, slides=(8,) * 8)
    return {
        "8 slides of 8 tiles": even,
        "8 slides of 2 to 20 tiles": replace(even, slides=UNEQUAL),
        "2 slides of 32 tiles": replace(even, slides=(32, 32)),
        "1 slide of 64 tiles": replace(even, slides=(64,)),
        f"8 slides of 8 tiles, rho {RHO}": replace(even, rho=RHO),
        f"8 slides of 2 to 20 tiles, rho {RHO}": replace(even, rho=RHO, slides=UNEQUAL),
    }


def slide_rates(name: str, scene: Scene, runs: int) -> dict[str, Any]:
    """The test of a run with its slides told, and without: half of the variance is the slide's."""
    rng = np.random.default_rng(len(scene.slides))
    groups = np.repeat(np.arange(len(scene.slides)), scene.slides)
    told, untold = [], []
    for run in range(runs):
        attention, feature = scene.draw(rng, len(groups))
        told.append(run_p(attention, feature, seed=run, groups=groups))
        untold.append(run_p(attention, feature, seed=run))
    return {"scene": name, "rho": scene.rho, "slides_told": rate(told), "untold": rate(untold)}


def effect_scenes() -> dict[str, Scene]:
    """One tile a slide, or slides whose tiles are alike."""
    border = Scene(16, 0.1, border=BORDER, slides=(1,) * 16, common=0.0)
    return {
        "16 tiles, border artifact": border,
        "64 tiles, border artifact": replace(border, slides=(1,) * 64),
        "8 slides of 8 tiles, border artifact": replace(border, slides=(8,) * 8, common=0.5),
        "20 slides of 4 tiles, border artifact": replace(border, slides=(4,) * 20, common=0.5),
    }


def effect_coverage(name: str, scene: Scene, runs: int) -> dict[str, Any]:
    """Share of 95 % intervals that hold the true effect, 0; and 0 itself around the mean r."""
    rng = np.random.default_rng(len(scene.slides))
    groups = np.repeat(np.arange(len(scene.slides)), scene.slides)
    held: dict[str, list[bool]] = {"effect": [], "matched_r": []}
    for run in range(runs // 4):
        matrix = correlation_matrix(*scene.draw(rng, len(groups)))
        for values, hits in (
            (tile_effects(matrix, groups=groups), held["effect"]),
            (np.diagonal(matrix), held["matched_r"]),
        ):
            found = cluster_bootstrap(values, groups, seed=run, resamples=1000)
            hits.append(found.low <= 0 <= found.high)
    return {"scene": name, **{key: share(hits) for key, hits in held.items()}}


def coverage(slides: int, skewed: bool, runs: int) -> dict[str, Any]:
    """Share of 95 % intervals that hold the true mean, 0; slides of 5 to 30 tiles."""
    rng = np.random.default_rng([slides, int(skewed)])
    draw: Callable[[int], np.ndarray] = (
        (lambda n: rng.exponential(size=n) - 1) if skewed else (lambda n: rng.normal(size=n))
    )
    held: dict[str, list[bool]] = {"ours": [], "percentile": [], "bca": []}
    for run in range(runs // 4):
        slide = np.repeat(np.arange(slides), rng.integers(5, 31, slides))
        values = 0.5 * draw(slides)[slide] + draw(len(slide))
        found = cluster_bootstrap(values, slide, seed=run, resamples=1000)
        held["ours"].append(found.low <= 0 <= found.high)
        sums, sizes = np.bincount(slide, values), np.bincount(slide)
        for method in ("percentile", "bca"):
            held[method].append(holds_zero(sums, sizes, method, rng))
    shares = {name: share(each) for name, each in held.items()}
    return {"slides": slides, "values": "skewed" if skewed else "normal", **shares}


def holds_zero(sums: np.ndarray, sizes: np.ndarray, method: str, rng: np.random.Generator) -> bool:
    """Whether scipy's interval of the mean over tiles holds 0."""
    interval = scipy.stats.bootstrap(
        (sums, sizes),
        lambda s, n, axis: s.sum(axis=axis) / n.sum(axis=axis),
        paired=True,
        method=method,
        n_resamples=1000,
        rng=rng,
    ).confidence_interval
    return bool(interval.low <= 0 <= interval.high)


def rate(p: Any) -> dict[str, float]:
    return share(np.asarray(p) <= ALPHA)


def share(hits: Any) -> dict[str, float]:
    """A share and its binomial standard error."""
    value, count = float(np.mean(hits)), len(hits)
    return {"rate": round(value, 4), "error": round(float(np.sqrt(value * (1 - value) / count)), 4)}


def within(results: dict[str, Any]) -> bool:
    """Whether the test of a run keeps its level in every scene without a relation."""
    found = [
        row[f"mismatched_{tiles}_tiles"]["rate"]
        for row in results["type_1_error"]
        for tiles in RUN_SIZES
    ]
    found += [row["slides_told"]["rate"] for row in results["slides"] if not row["rho"]]
    return all(ALLOWED[0] <= each <= ALLOWED[1] for each in found)


def show(results: dict[str, Any]) -> None:
    runs = results["runs"]
    print("toroidal shifts and the naive p of r stand here as a warning: they are no evidence\n")
    print(f"type-I error at {ALPHA}: {runs} runs, {2 * runs} single tiles a row")
    show_rates(results["type_1_error"])
    print(f"\npower at rho {RHO}: {runs // 4} runs, {runs // 2} single tiles a row")
    show_rates(results["power"])
    print(f"\ntiles of a slide alike (half of the variance), 16 x 16, length 0.2, {runs} runs")
    print(f"{'':<38} {'slides told':>14} {'not told':>14}")
    for row in results["slides"]:
        print(f"{row['scene']:<38} {text(row['slides_told'])} {text(row['untold'])}")
    print(f"\ncoverage of 95 % intervals where nothing is related, {runs // 4} runs")
    print(f"{'':<38} {'of the effect':>14} {'mean r as 0':>14}")
    for row in results["effect"]:
        print(f"{row['scene']:<38} {text(row['effect'])} {text(row['matched_r'])}")
    print(f"\ncoverage of 95 % intervals over slides of 5 to 30 tiles, {runs // 4} runs")
    print(f"{'values':<8} {'slides':>6} {'ours':>14} {'percentile':>14} {'BCa':>14}")
    for row in results["coverage"]:
        cells = " ".join(text(row[name]) for name in ("ours", "percentile", "bca"))
        print(f"{row['values']:<8} {row['slides']:>6} {cells}")
    verdict = "within" if results["within"] else "NOT within"
    print(
        f"\nthe test of a run is {verdict} [{ALLOWED[0]}, {ALLOWED[1]}] wherever nothing is related"
    )


def show_rates(rows: list[dict[str, Any]]) -> None:
    print(f"{'':<16} {'test of a run: mismatched tiles':^29}   {'tests of one tile':^44}")
    heads = [*(f"{tiles} tiles" for tiles in RUN_SIZES), "Dutilleul", "toroidal", "naive r"]
    print(f"{'grid':>4} {'length':>11} " + " ".join(f"{head:>14}" for head in heads))
    kind = ""
    for row in rows:
        if row["kind"] != kind:
            kind = row["kind"]
            print(f"- {WORDS[kind]}")
        names = [f"mismatched_{tiles}_tiles" for tiles in RUN_SIZES]
        cells = " ".join(text(row[name]) for name in (*names, "dutilleul", "toroidal", "naive"))
        print(f"{row['size']:>4} {row['length']:>11} {cells}")


def text(found: dict[str, float]) -> str:
    return f"{found['rate']:>6.3f} ± {found['error']:.3f}"


if __name__ == "__main__":
    sys.exit(main())
