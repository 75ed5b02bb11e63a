"""Charts: where values lie, what is said of them, the same bytes every time."""

import math
import re

import numpy as np
import pytest

from analyzer_service.figures.ranges import CONTRAST_FLOOR, ENTROPY
from analyzer_service.html.curves import Chart, Curve, figure
from analyzer_service.html.intervals import Interval, Intervals, intervals_figure
from analyzer_service.html.svg import element, number, path
from analyzer_service.html.trends import Trend, rolling
from tests.analyzer_service.html.documents import Document, read


def trend(values: list[float], spread: float = 0.0) -> Trend:
    middle = np.asarray(values, dtype=np.float64)
    return Trend(np.arange(len(values), dtype=float), middle - spread, middle, middle + spread, 5)


def drawn(chart: Chart) -> Document:
    return read(str(figure(chart)))


def curve_points(document: Document, tone: str) -> list[tuple[float, float]]:
    (d,) = [a["d"] for a in document.named("path") if a["class"] == f"curve {tone}"][:1]
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", d)]


def test_values_lie_where_the_axis_says() -> None:
    document = drawn(Chart("X", [Curve("a", trend([0.0, 5.0, 10.0]), "train")], scale=(0.0, 10.0)))

    grid = sorted({float(a["y1"]) for a in document.named("line") if a["class"] == "grid"})
    (low, *_, high) = curve_points(document, "train")
    assert low[1] == pytest.approx(grid[-1], abs=0.011)  # zero is the lowest line
    assert high[1] == pytest.approx(grid[0], abs=0.011)
    assert [x for x, _ in curve_points(document, "train")] == pytest.approx(
        [46, (46 + 388) / 2, 388], abs=0.01
    )


def test_a_gap_interrupts_line_and_band() -> None:
    gap = trend([1.0, 2.0, math.nan, 3.0, 4.0], spread=0.5)
    document = drawn(Chart("X", [Curve("a", gap, "train")]))

    bands = [a for a in document.named("path") if a["class"] == "band train"]
    assert len(bands) == 2
    line = next(a["d"] for a in document.named("path") if a["class"] == "curve train")
    assert line.count("M") == 2
    assert "nan" not in str(figure(Chart("X", [Curve("a", gap, "train")])))


def test_the_good_range_is_shaded_between_its_limits() -> None:
    chart = Chart("E", [Curve("a", trend([1.0, 3.0]), "train")], good=ENTROPY, scale=ENTROPY.scale)
    document = drawn(chart)

    (box,) = [a for a in document.named("rect") if a["class"] == "good"]
    top, height = float(box["y"]), float(box["height"])
    bottom, whole = 220 - 34, 220 - 34 - 24
    assert top + height == pytest.approx(bottom - 2 / math.log(64) * whole, abs=0.02)
    assert top == pytest.approx(bottom - 4 / math.log(64) * whole, abs=0.02)
    assert "Good range 2–4 nats." in document.texts["figcaption"][0]


def test_a_range_without_an_upper_limit_reaches_the_top() -> None:
    chart = Chart("C", [Curve("a", trend([0.1, 0.3]), "train")], good=CONTRAST_FLOOR)
    (box,) = [a for a in drawn(chart).named("rect") if a["class"] == "good"]

    assert float(box["y"]) == 24


def test_the_words_say_what_the_curves_show() -> None:
    chart = Chart("Loss", [Curve("training", trend([0.5, 0.1, 0.2]), "train")], unit="bits")
    (title,) = drawn(chart).texts["title"]

    assert title == (
        "Loss. training: median from 0.500 to 0.200 bits between step 0 and 2, lowest 0.100, "
        "highest 0.500."
    )


def test_nothing_to_show_is_no_figure() -> None:
    empty = rolling(np.empty(0), np.empty(0))

    assert (
        figure(Chart("X", [Curve("a", trend([math.nan]), "train"), Curve("b", empty, "val")])) == ""
    )
    assert intervals_figure(Intervals("X", [], (-1, 1), 0.0)) == ""


def test_one_value_is_a_dot() -> None:
    document = drawn(Chart("X", [Curve("a", trend([2.0]), "val")]))

    assert len(document.named("circle")) == 1


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e12, 1e99])
def test_coordinates_stay_inside_whatever_the_values(scale: float) -> None:
    values = (np.random.default_rng(0).uniform(-1, 1, 50) * scale).tolist()
    points = curve_points(drawn(Chart("X", [Curve("a", trend(values), "train")])), "train")

    assert len(points) == 50
    assert all(0 <= x <= 400 and 0 <= y <= 220 for x, y in points)


def test_intervals_are_drawn_from_low_to_high() -> None:
    lines = [
        Interval("tissue <b>", -0.5, -0.75, -0.25, 0.0),
        Interval("dab", math.nan, math.nan, math.nan, math.nan),
    ]
    document = read(str(intervals_figure(Intervals("r", lines, (-1.0, 1.0), 0.0))))

    start, stop = 142.0, 430.0 - 14
    (whiskers,) = [a["d"] for a in document.named("path")]
    low, high = (float(x) for x in re.match(r"M([\d.]+) .*H([\d.]+)M", whiskers).groups())  # type: ignore[union-attr]
    assert low == pytest.approx(start + 0.125 * (stop - start), abs=0.01)
    assert high == pytest.approx(start + 0.375 * (stop - start), abs=0.01)
    assert "tissue <b>" in document.texts["text"]
    assert "interval −0.750 to −0.250" in document.texts["title"][0]


def test_the_same_chart_has_the_same_bytes() -> None:
    values = np.random.default_rng(1).normal(size=500)
    charts = [
        Chart("X", [Curve("a", rolling(np.arange(500.0), values), "train")]) for _ in range(2)
    ]
    assert figure(charts[0]) == figure(charts[1])


def test_numbers_are_short_and_have_no_negative_zero() -> None:
    assert [number(v) for v in (1.0, -0.001, 2.346, -3.5, 100.0)] == [
        "1",
        "0",
        "2.35",
        "-3.5",
        "100",
    ]
    assert path([]) == ""
    assert element("a", b='"<') == '<a b="&#34;&lt;"/>'
