"""The report's alerts: which fired, when, for how long, and what each says."""

from dataclasses import dataclass, field
from typing import Final

from analyzer_service.commit.reader import AlertRecord, RunReader
from analyzer_service.figures.wording import number
from analyzer_service.sinks.markdown import quoted, table
from analyzer_service.sinks.report_wording import duration, plural

_SHOWN: Final = 100


@dataclass(frozen=True)
class AlertSection:
    """`table` is None where there was no alert; `sentences` are by alert, each said once."""

    words: str
    table: str | None = None
    sentences: list[str] = field(default_factory=list)


def alert_section(reader: RunReader, release: int) -> AlertSection:
    """Every alert up to row `release`."""
    alerts = reader.alerts(upto=release)
    if not alerts:
        return AlertSection("No alert fired.")
    active = sum(alert.active(release) for alert in alerts)
    words = f"{plural(len(alerts), 'alert')} fired"
    words += f"; {active:,} had not cleared at the end." if active else "; all of them cleared."
    if len(alerts) > _SHOWN:
        words += f" The first {_SHOWN} are shown."
    header = ["Alert", "Steps", "For", "Worst value"]
    rows = [_line(alert, release) for alert in alerts[:_SHOWN]]
    first = {alert.title: alert for alert in reversed(alerts)}
    said = [
        f"**{title}**, at step {alert.step:,}: {quoted(alert.sentence)}"
        for title, alert in sorted(first.items(), key=lambda item: item[1].moment)
    ]
    return AlertSection(words, table(header, rows, words=(0, 1)), said)


def _line(alert: AlertRecord, release: int) -> list[str]:
    last, until = alert.until(release)
    steps = f"{alert.since_step:,} to {last:,}" + (", goes on" if alert.active(release) else "")
    return [alert.title, steps, duration(until - alert.since_at), number(alert.peak)]
