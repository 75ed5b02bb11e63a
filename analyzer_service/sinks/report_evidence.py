"""Readiness indicators: evidence with its n and a reference, never a verdict."""

import math

from analyzer_service.commit.reader import RunReader
from analyzer_service.figures.ranges import GUIDE, GoodRange, Ranges
from analyzer_service.figures.wording import number, with_unit
from analyzer_service.sinks.report_batches import RunBatches
from analyzer_service.sinks.report_tiles import Share, Tiles
from analyzer_service.sinks.report_wording import mean_sd, percent, plural
from shared.messages import RunStarted

Line = list[str]


def judged_ranges(started: RunStarted, ranges: Ranges = GUIDE) -> dict[str, GoodRange]:
    """Tile metrics whose shares in a good range are counted: SSIM and the primary layer's."""
    layer = primary_layer(started)
    gates = {f"attention_{layer}_{good.key}": good for good in ranges.attention} if layer else {}
    return {ranges.ssim.key: ranges.ssim, **gates}


def primary_layer(started: RunStarted) -> str | None:
    """The layer that the guide's names without a layer stand for."""
    gates = [layer.name for layer in started.layers if layer.kind == "attention"]
    return started.primary_layer or (gates[0] if gates else None)


def evidence(
    reader: RunReader,
    batches: RunBatches,
    tiles: dict[str, Tiles],
    *,
    phase: str,
    ranges: Ranges = GUIDE,
) -> list[Line]:
    """Rows of indicator, value, n, reference.

    Parameters
    ----------
    phase : str
        Whose tiles speak: "val" where there are any, else "train".
    ranges : Ranges
        The references.
    """
    started = reader.started()
    return [
        *_reconstruction(tiles[phase], ranges.ssim),
        *_attention(tiles[phase], primary_layer(started), ranges),
        *_position_bias(batches, phase, primary_layer(started)),
        *_generalization(batches),
        _forward_pass(batches, phase, ranges.inference_time),
        _frames(reader),
    ]


def _reconstruction(tiles: Tiles, good: GoodRange) -> list[Line]:
    moments = tiles.at_last.moments(good.key)
    share = tiles.shares.get(good.key, Share())
    return [
        ["SSIM, mean ± SD", mean_sd(moments), plural(moments.n, "tile"), good.text()],
        ["Tiles with SSIM in the range", percent(share.value), plural(share.n, "tile"), "–"],
    ]


def _attention(tiles: Tiles, layer: str | None, ranges: Ranges) -> list[Line]:
    if layer is None:
        return []
    lines = []
    for good in ranges.attention:
        share = tiles.shares.get(f"attention_{layer}_{good.key}", Share())
        name = f"Tiles with {good.label.lower()} in the range, {layer}"
        lines.append([name, percent(share.value), plural(share.n, "tile"), good.text()])
    return lines


def _position_bias(batches: RunBatches, phase: str, layer: str | None) -> list[Line]:
    moments = batches.moments(phase, f"attention_{layer}_attention_position_bias")
    if layer is None or not moments.n:
        return []
    reference = "0 follows content, 1 follows position"
    label = f"Position bias, {layer}, mean ± SD"
    return [[label, mean_sd(moments), plural(moments.n, "batch"), reference]]


def _generalization(batches: RunBatches) -> list[Line]:
    numbers = batches.epoch_numbers("val")
    if not numbers:
        return []
    train = batches.of_epoch("train", numbers[-1])
    val = batches.of_epoch("val", numbers[-1])
    losses = [means.get("loss", math.nan) for means in (val, train)]
    ratio = losses[0] / losses[1] if losses[1] else math.nan
    n = plural(val.get("batches", 0) + train.get("batches", 0), "batch")
    return [["Validation loss over training loss", number(ratio), n, "1 is no gap"]]


def _forward_pass(batches: RunBatches, phase: str, good: GoodRange) -> Line:
    found = batches.phases[phase].timing(good.key)
    n = plural(found.n, "batch")
    return ["Forward pass, median", with_unit(found.median, "ms"), n, good.text()]


def _frames(reader: RunReader) -> Line:
    books = reader.books().values()
    offered = sum(totals.offered for totals in books)
    delivered = sum(totals.delivered for totals in books)
    share = delivered / offered if offered else math.nan
    return ["Frames that arrived", percent(share), plural(offered, "frame"), "100 % is complete"]
