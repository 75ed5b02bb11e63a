"""What stands below each figure in a paper: what is shown, over how much, and with which bands."""

from collections.abc import Sequence

from analyzer_service.analyses.run_pathology import TissueTest
from analyzer_service.html.run_charts import RunHistories
from analyzer_service.paper.tiles import ShownTile
from analyzer_service.sinks.report_wording import plural

_PHASES = {"train": "training", "val": "validation"}


def reconstruction_caption(tiles: Sequence[ShownTile], kept: int) -> str:
    """Of the figure of reconstructions."""
    first = tiles[0]
    return (
        f"**Reconstruction quality.** {_PHASES[first.phase].capitalize()} tiles of epoch "
        f"{first.epoch}, from the lowest to the highest SSIM, evenly chosen by rank among "
        f"{plural(kept, 'tile')} whose images were kept. (a) Input. (b) Reconstruction. (c) "
        "Absolute error, mean over the color channels, as a share of the intensity range."
    )


def training_caption(histories: RunHistories) -> str:
    """Of the figure of the training."""
    counts = " and ".join(
        f"{rows:,} {_PHASES[phase]} batches" for phase, rows in histories.rows.items() if rows
    )
    return (
        f"**Training progress.** {counts}. (a) Loss. (b) SSIM; shaded: good range. (c) PSNR. "
        f"{_bands(histories)}"
    )


def attention_caption(
    tiles: Sequence[ShownTile],
    histories: RunHistories,
    tests: Sequence[TissueTest],
    *,
    metrics: bool = True,
) -> str:
    """Of the figure of the attention; its parts are lettered as they are there."""
    phase = _PHASES["val" if histories.rows["val"] else "train"]
    parts = []
    if tiles:
        parts.append(
            f"Attention of {plural(len(tiles), 'tile')}, each gate's excess over its lower "
            "quartile in multiples of an even share, on the gate's own grid."
        )
    if metrics:
        parts.append(f"Attention metrics over the run, {phase} batches; shaded: good ranges.")
    if tests:
        most = max(test.n for test in tests)
        parts.append(
            f"Pearson correlation of attention with the tissue of the same tile, mean over "
            f"{plural(most, 'validation tile')} with a bootstrapped 95 % confidence interval "
            "(filled), and with the tissue of other tiles (open), which is what a habit of the "
            "layer would give."
        )
    lettered = " ".join(f"({name}) {part}" for name, part in zip("abc", parts, strict=False))
    bands = f" {_bands(histories)}" if metrics else ""
    return f"**Attention analysis.** {lettered}{bands}"


def _bands(histories: RunHistories) -> str:
    merged = histories.merged("train")
    what = "batches" if merged == 1 else f"means over {merged:,} batches"
    window = histories.trend("train", "loss").window
    return (
        f"Lines are medians and bands the middle 80 %: in training of {window:,} successive "
        f"{what}, in validation of the batches of each validation."
    )
