"""The numbers that a reader of the page sees first."""

import math

from analyzer_service.commit.reader import RunReader, RunState
from analyzer_service.figures.wording import number, with_unit
from analyzer_service.html.shell import Card
from analyzer_service.sinks.report_batches import RunBatches
from analyzer_service.sinks.report_tiles import Tiles
from analyzer_service.sinks.report_training import throughput
from analyzer_service.sinks.report_wording import percent, plural
from shared.messages import RunStarted


def cards(
    reader: RunReader,
    started: RunStarted,
    batches: RunBatches,
    tiles: dict[str, Tiles],
    *,
    release: int,
) -> list[Card]:
    """Status, quality, speed, delivery, alerts; each with what it is taken over."""
    state = reader.state()
    phase = "val" if tiles["val"].whole.rows else "train"
    ssim = tiles[phase].at_last.moments("ssim")
    name = {"train": "training", "val": "validation"}[phase]
    found = [
        _status(state, started, batches),
        Card(
            f"SSIM, {name}",
            number(ssim.mean),
            f"SD {number(ssim.sd, 2)}, {plural(ssim.n, 'tile')} of the last epoch",
        ),
        _loss(batches),
        Card(
            "Training speed", with_unit(throughput(batches), "tiles/s"), "steps alone, data ready"
        ),
        _frames(reader),
        _alerts(reader, release),
    ]
    return [card for card in found if card.value != "undefined"]


def _status(state: RunState, started: RunStarted, batches: RunBatches) -> Card:
    epochs = len(batches.epoch_numbers("train"))
    planned = f" of {started.max_epochs}" if started.max_epochs else ""
    trained = batches.phases["train"].batches
    return Card("Status", state.status, f"epoch {epochs}{planned}, {plural(trained, 'batch')}")


def _loss(batches: RunBatches) -> Card:
    numbers = batches.epoch_numbers("val")
    last = batches.of_epoch("val", numbers[-1]) if numbers else {}
    return Card("Loss, validation", number(last.get("loss", math.nan)), "mean of the last epoch")


def _frames(reader: RunReader) -> Card:
    books = reader.books().values()
    offered = sum(totals.offered for totals in books)
    arrived = sum(totals.delivered for totals in books)
    share = arrived / offered if offered else math.nan
    return Card("Frames that arrived", percent(share), f"of {offered:,} offered")


def _alerts(reader: RunReader, release: int) -> Card:
    alerts = reader.alerts(upto=release)
    active = sum(alert.active(release) for alert in alerts)
    note = f"{active:,} not cleared at the end" if active else "all of them cleared"
    return Card("Alerts", f"{len(alerts):,}", note if alerts else "none fired")
