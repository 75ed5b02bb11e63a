"""Time a dashboard: each panel, its encoding, and beside it a plain figure of matplotlib's.

Every drawing shows another row, so that no line of text is there already; one thread, the time
in which it ran. Ours and the plain figure take turns; the figures are medians.

panels           what each panel takes to be placed and to be painted on a blank sheet
encoding         the PNG of one dashboard by other settings: time against bytes
nuclei outline   the same dashboards with nuclei outlined in two panels, found beforehand
first            the very first dashboard of a process, when no letter has been drawn
plain            four images, two curves and the row as text, saved at the same size

    python benchmarks/dashboard.py [--repeats N] [--json FILE|-]
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import cv2
import numpy as np
from measure.dashboards import make_dashboard
from measure.output import machine, parser, show
from measure.plain_dashboard import draw_plainly

from analyzer_service.figures import panels
from analyzer_service.figures.dashboard import draw_sheet, render_dashboard
from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.panels.layout import panel_box
from analyzer_service.figures.sheet import Sheet

PANELS = {
    "original": panels.draw_original,
    "reconstruction": panels.draw_reconstruction,
    "error map": panels.draw_error,
    "attention": panels.draw_attention,
    "progress": panels.draw_progress,
    "summary": panels.draw_summary,
}
ENCODINGS = {
    "up, level 1": (1, cv2.IMWRITE_PNG_FILTER_UP),
    "up, level 4 (ours)": (4, cv2.IMWRITE_PNG_FILTER_UP),
    "up, level 6": (6, cv2.IMWRITE_PNG_FILTER_UP),
    "paeth, level 4": (4, cv2.IMWRITE_PNG_FILTER_PAETH),
    "no filter, level 4": (4, cv2.IMWRITE_PNG_FILTER_NONE),
    "tried for each row, level 4": (4, cv2.IMWRITE_PNG_ALL_FILTERS),
    "tried for each row, level 9": (9, cv2.IMWRITE_PNG_ALL_FILTERS),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=20)
    given = options.parse_args()
    cv2.setNumThreads(1)
    first, *datas = (make_dashboard(number) for number in range(1, given.repeats + 2))
    first_ms, png = timed(lambda: render_dashboard(first))
    results = {
        "machine": machine(),
        "repeats": given.repeats,
        "dashboards": time_dashboards(datas) | {"first": summary([(first_ms, len(png))])},
        "panels": {name: time_panel(name, datas) for name in (*PANELS, "header", "blank sheet")},
        "encodings": time_encodings(datas[0], given.repeats),
    }
    show(results, table, given.json)


def time_dashboards(datas: Sequence[DashboardData]) -> dict[str, Any]:
    """Whole dashboards, each kind in turn."""
    numbers = range(1000, 1000 + len(datas))
    kinds: dict[str, tuple[Callable[[DashboardData], bytes], Sequence[DashboardData]]] = {
        "ours": (render_dashboard, datas),
        "plain": (draw_plainly, datas),
        "nuclei outline": (render_dashboard, [make_dashboard(n, nuclei=True) for n in numbers]),
        "tile of 512²": (render_dashboard, [make_dashboard(n, size=512) for n in numbers]),
    }
    draw_plainly(datas[0])  # its first figure is slow
    taken: dict[str, list[tuple[float, int]]] = {kind: [] for kind in kinds}
    for index in range(len(datas)):
        for kind, (draw, given) in kinds.items():
            ms, png = timed(lambda draw=draw, data=given[index]: draw(data))
            taken[kind].append((ms, len(png)))
    return {kind: summary(found) for kind, found in taken.items()}


def time_panel(name: str, datas: Sequence[DashboardData]) -> dict[str, float]:
    """Placing and painting one panel alone; painting without what a blank sheet takes."""
    blank = median(timed(Sheet().paint)[0] for _ in datas)
    placing, painting = [], []
    for data in datas:
        sheet = Sheet()
        placing.append(timed(lambda sheet=sheet, data=data: place(name, sheet, data))[0])
        painting.append(timed(sheet.paint)[0])
    rest = 0.0 if name == "blank sheet" else blank
    return {"placing_ms": rounded(placing), "painting_ms": round(median(painting) - rest, 2)}


def place(name: str, sheet: Sheet, data: DashboardData) -> None:
    """Put one panel on `sheet`."""
    if name == "header":
        panels.draw_header(sheet, data)
    elif name in PANELS:
        PANELS[name](sheet, panel_box(*divmod(list(PANELS).index(name), 3)), data)


def time_encodings(data: DashboardData, repeats: int) -> dict[str, Any]:
    """The same pixels by each setting, in turn."""
    pixels = np.ascontiguousarray(draw_sheet(data).paint().pixels[..., ::-1])
    taken: dict[str, list[tuple[float, int]]] = {name: [] for name in ENCODINGS}
    for _ in range(max(3, repeats // 4)):
        for name, (level, filters) in ENCODINGS.items():
            flags = (cv2.IMWRITE_PNG_COMPRESSION, level, cv2.IMWRITE_PNG_FILTER, filters)
            ms, png = timed(lambda flags=flags: cv2.imencode(".png", pixels, flags)[1])
            taken[name].append((ms, len(png)))
    return {name: summary(found) for name, found in taken.items()}


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds in which this thread ran, and what the call returned."""
    began_s = time.thread_time()
    result = call()
    return (time.thread_time() - began_s) * 1e3, result


def summary(found: Sequence[tuple[float, int]]) -> dict[str, float]:
    return {
        "ms": rounded([ms for ms, _ in found]),
        "least_ms": round(min(ms for ms, _ in found), 2),
        "bytes": round(median(size for _, size in found)),
    }


def rounded(values: Sequence[float]) -> float:
    return round(median(values), 2)


def table(results: dict[str, Any]) -> None:
    """Print everything."""
    plain = results["dashboards"]["plain"]["ms"]
    print(f"{'dashboard':<30} {'ms':>8} {'least':>8} {'bytes':>10} {'plain / this':>13}")
    for name, found in results["dashboards"].items():
        ms, least, size = found["ms"], found["least_ms"], found["bytes"]
        print(f"{name:<30} {ms:>8.1f} {least:>8.1f} {size:>10,} {plain / ms:>12.1f}x")
    print(f"\n{'panel':<30} {'placing':>8} {'painting':>8}")
    for name, found in results["panels"].items():
        print(f"{name:<30} {found['placing_ms']:>8.2f} {found['painting_ms']:>8.2f}")
    print(f"\n{'encoding':<30} {'ms':>8} {'least':>8} {'bytes':>10}")
    for name, found in results["encodings"].items():
        print(f"{name:<30} {found['ms']:>8.1f} {found['least_ms']:>8.1f} {found['bytes']:>10,}")


if __name__ == "__main__":
    main()
