"""The report as a page: the very text of the Markdown file, with plots where they belong."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from analyzer_service.analyses.run_pathology import CHANCE, TissueTest
from analyzer_service.figures.ranges import Ranges
from analyzer_service.html.intervals import Interval, Intervals, intervals_figure
from analyzer_service.html.markup import sections_of, to_html
from analyzer_service.html.run_charts import (
    RunHistories,
    how_to_read,
    layer_charts,
    nuclei_chart,
    speed_charts,
    training_charts,
)
from analyzer_service.html.shell import Card, Page, Section, anchor_of, render_page
from analyzer_service.html.svg import element, joined
from analyzer_service.sinks.report_wording import feature

_ATTENTION: Final = "Attention analysis"
_PATHOLOGY: Final = "Pathology"
_SPEED: Final = "Performance summary"
_TRAINING: Final = "Training summary"


@dataclass(frozen=True)
class PageFacts:
    """What the page needs beside the report's text."""

    name: str
    histories: RunHistories
    ranges: Ranges
    outcomes: Sequence[TissueTest]
    cards: Sequence[Card]


def report_page(text: str, facts: PageFacts) -> str:
    """The page of the report `text`, a Markdown file whose sections begin with ``## ``."""
    opening, parts = sections_of(text)
    sections = [
        Section(title, _with_plots(title, body, facts), anchor_of(title)) for title, body in parts
    ]
    words = opening.partition("\n")[2]  # the title is the page's own
    first, mark, table = words.partition("\n|")
    return render_page(
        Page(
            title=f"Training report: {facts.name}",
            opening=to_html(first),
            cards=facts.cards,
            details=to_html(f"{mark}{table}"),
            sections=sections,
        )
    )


def _with_plots(title: str, body: str, facts: PageFacts) -> Markup:
    if title == _TRAINING:
        charts = training_charts(facts.histories, facts.ranges)
        how = how_to_read(facts.histories) if charts else Markup("")
        return joined([how, charts, to_html(body)])
    if title == _SPEED:
        return joined([speed_charts(facts.histories, facts.ranges), to_html(body)])
    if title == _ATTENTION:
        return _by_layer(body, "### ", facts)
    if title == _PATHOLOGY:
        return _by_layer(body, "#### ", facts)
    return to_html(body)


def _by_layer(body: str, mark: str, facts: PageFacts) -> Markup:
    """The section, with each layer's plots below its heading."""
    first, *parts = re.split(rf"^{mark}", body, flags=re.MULTILINE)
    found = [to_html(first)]
    for part in parts:
        title, _, rest = part.partition("\n")
        layer = title.strip("`")
        found.append(to_html(f"{mark}{title}"))
        if layer in facts.histories.layers:
            plots = _attention if mark == "### " else _tissue
            found.append(plots(layer, facts))
        found.append(to_html(rest))
    return joined(found)


def _attention(layer: str, facts: PageFacts) -> Markup:
    return layer_charts(facts.histories, layer, facts.ranges)


def _tissue(layer: str, facts: PageFacts) -> Markup:
    tests = [test for test in facts.outcomes if test.layer == layer]
    lines = [_interval(test) for test in tests if test.kind == "correlation"]
    title, chance = "Correlation of attention with the tissue, r", CHANCE["correlation"]
    figures = [
        intervals_figure(Intervals(title, lines, (-1.0, 1.0), chance)),
        nuclei_chart(facts.histories, layer),
    ]
    return element("div", joined(figures), class_="charts pairs") if any(figures) else Markup("")


def _interval(test: TissueTest) -> Interval:
    return Interval(feature(test.feature), test.matched, test.low, test.high, test.mismatched)
