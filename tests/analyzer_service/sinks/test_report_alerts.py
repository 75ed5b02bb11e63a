"""Alerts where people read them: the report, and what W&B is told."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from analyzer_service.alerts.settings import AlertSettings, RangeSettings
from analyzer_service.commit.reader import AlertRecord, RunReader
from analyzer_service.sinks.report import write_report
from analyzer_service.sinks.wandb_feed import Position, next_portion
from tests.analyzer_service.sinks.runs import RunWriter

Keep = Callable[[RunWriter], RunWriter]
START = 1_760_000_000.0
_COLUMNS = (
    *("name", "layer", "phase", "rank", "moment", "release", "step", "at", "since_step"),
    *("since_at", "last_step", "last_at", "peak", "sentence", "cleared_release"),
    *("cleared_step", "cleared_at"),
)


def an_alert(release: int = 10, **overrides: object) -> AlertRecord:
    alert = AlertRecord(
        name="memory_growth",
        layer=None,
        phase="train",
        rank=0,
        moment=2 * release,
        release=release,
        step=release,
        at=START + release,
        since_step=release - 5,
        since_at=START + release - 5,
        last_step=release,
        last_at=START + release,
        peak=120.5,
        sentence="Memory grows steadily: from 512 MiB to 632 MiB.",
    )
    return replace(alert, **overrides)  # type: ignore[arg-type]


def put(run: RunWriter, *alerts: AlertRecord) -> None:
    with run.store.transaction():
        for alert in alerts:
            run.store.connection.execute(
                f"INSERT INTO alerts ({', '.join(_COLUMNS)}) "
                f"VALUES ({', '.join('?' * len(_COLUMNS))})",
                [getattr(alert, name) for name in _COLUMNS],
            )


def section(folder: Path, release: int = 24) -> str:
    text = write_report(folder, release).read_text("utf-8")
    return text.partition("## Alerts")[2].partition("## Training summary")[0]


def test_a_run_without_alerts_says_so(run: RunWriter, folder: Path) -> None:
    assert section(folder).strip() == "No alert fired."


def test_each_alert_has_when_how_long_and_why(run: RunWriter, folder: Path) -> None:
    cleared = an_alert(
        12,
        name="attention_diffuse",
        layer="bam_16",
        sentence="Attention entropy of bam_16 is 4.1 nats | much.",
        cleared_release=20,
        cleared_step=18,
        cleared_at=START + 100,
        peak=math.nan,
    )
    put(run, an_alert(10), cleared)
    text = section(folder)
    assert "2 alerts fired; 1 had not cleared at the end." in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["memory growing", "5 to 10, goes on", "5.0 s", "120"] in rows
    assert ["attention too diffuse (bam_16)", "7 to 18", "1 min 33 s", "undefined"] in rows
    assert "**memory growing**, at step 10: Memory grows steadily" in text.replace("`", "")


def test_what_is_later_than_the_report_is_not_in_it(run: RunWriter, folder: Path) -> None:
    put(run, an_alert(10, cleared_release=20, cleared_step=19, cleared_at=START + 50), an_alert(22))
    text = section(folder, release=15)
    assert "1 alert fired; 1 had not cleared at the end." in text
    assert "goes on" in text


def test_wandb_is_told_of_each_once_after_its_row(run: RunWriter, folder: Path) -> None:
    put(run, an_alert(10), an_alert(12, moment=25))
    with RunReader(folder) as reader:
        first = next_portion(reader, Position())
        assert [alert.moment for alert in first.alerts] == [20, 25]
        assert next_portion(reader, first.position).alerts == []
        put(run, an_alert(24))
        assert [alert.moment for alert in next_portion(reader, first.position).alerts] == [48]


def test_the_report_judges_by_the_ranges_that_the_analyzer_was_given(
    run: RunWriter, folder: Path
) -> None:
    guide = write_report(folder, 24).read_text("utf-8")
    assert "The ranges are the guide's" in guide
    settings = AlertSettings(ranges=RangeSettings(entropy=(1.0, 2.5), inference_max_ms=7.0))
    with run.store.transaction():
        run.store.put(alert_settings=settings.judged())
    own = write_report(folder, 24).read_text("utf-8")
    assert "The ranges are those that the analyzer was given" in own
    assert "1–2.5 nats" in own
    assert "< 7 ms" in own
    assert "2–4 nats" not in own
