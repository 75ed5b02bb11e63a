"""Words of the report: what each metric means, what each file is, why frames were dropped."""

import math

from analyzer_service.figures.wording import number
from analyzer_service.sinks.moments import Moments

METRICS = {
    "attention_entropy": "Entropy: how widely attention is spread. Low is a point, 4.16 nats is "
    "the whole tile evenly.",
    "attention_effective_area": "Effective area: the share of the tile that attention covers in "
    "effect, exp(entropy) / 64.",
    "attention_concentration_10": "Concentration: share of the attention in the most attended "
    "10 % of the tile. 0.1 is even.",
    "attention_sparsity": "Sparsity: share of the tile that gets next to none (under a tenth of "
    "the maximum).",
    "attention_gini": "Gini: inequality of attention over the tile. 0 is even.",
    "attention_center_distance": "Center distance: from the tile's center to attention's center "
    "of mass, in half diagonals. A ring around the center gives 0 too.",
    "attention_radial_distance": "Radial distance: mean distance of the attention from the "
    "center, in half diagonals. 0.54 is even.",
    "attention_spatial_variance": "Spatial variance: spread around its own center of mass. 1 is "
    "even.",
    "num_attention_peaks": "Peaks: separate focus regions that stand out by a fifth of the range.",
    "peak_coverage": "Peak coverage: share of the tile above half of the maximum.",
    "attention_contrast": "Contrast: SD of the raw gate over its mean. Below 0.02 the other "
    "metrics describe noise.",
    "attention_moran_i": "Moran's I: whether neighboring cells are alike. 0 is noise, 1 is smooth.",
    "attention_entropy_native_bits": "Entropy on the map's own grid, in bits; layers with other "
    "grids cannot be compared by it.",
    "attention_mean": "Mean of the raw gate.",
    "attention_std": "SD of the raw gate.",
    "attention_min": "Lowest value of the raw gate.",
    "attention_max": "Highest value of the raw gate.",
    "attention_position_bias": "Position bias, one value per batch: correlation between the maps "
    "of different tiles. Near 1, attention follows the position and not the tissue.",
    "temporal_consistency": "Temporal consistency, from the second validation epoch on: "
    "correlation of a tile's map with its own an epoch earlier. 1 is unchanged.",
}

DROP_REASONS = {
    "queue_full": "the trainer's memory budget for waiting frames was spent",
    "no_slot": "no pinned copy slot was free",
    "changed_in_place": "a tensor was written to before it could be copied",
    "peer_lost": "sent, never confirmed, and no longer held for resending",
    "too_large": "beyond the size limit of one message",
    "capture_failed": "reading the tensors failed",
    "closed": "still waiting when the trainer had to end",
    "undecodable": "it came, and could not be read",
}

FAILURES = {
    "analysis": "frames whose analysis failed or ran past its time",
    "undecodable": "frames that could not be read",
    "frame_file": "frames that could not be kept for later",
    "file": "files that could not be written",
    "own_analysis": "frames whose own analysis failed or ran past its time",
    "own_off": "own analyses that were switched off, after three failures in a row",
    "alerts": "rows at which the rule of an alert failed",
    "frame_mismatch": "frames of another batch than the one that named them: an error",
    "unexplained_frames": "frames that neither arrived nor were dropped by name: an error",
    "missing_records": "gaps in the records: an error",
    "books_differ": "counts of the trainer that differ from what is known: an error",
}
ERRORS = ("unexplained_frames", "missing_records", "books_differ", "frame_mismatch")
"""Failures that must never be: something is missing, and nothing tells why."""


def feature(name: str) -> str:
    """A feature of the tissue for readers.

    Examples
    --------
    >>> feature("glcm_contrast"), feature("dab")
    ('texture contrast', 'DAB')
    """
    return name.replace("_", " ").replace("glcm", "texture").replace("dab", "DAB")


def mean_sd(moments: Moments) -> str:
    """Mean ± sample SD, or the mean alone of a single value.

    Examples
    --------
    >>> mean_sd(Moments())
    'undefined'
    """
    if moments.n < 2:
        return number(moments.mean)
    return f"{number(moments.mean)} ± {number(moments.sd, 2)}"


def change(first: float, last: float) -> str:
    """From the first epoch to the last.

    Examples
    --------
    >>> change(0.25, 0.5), change(float("nan"), 0.5)
    ('0.250 → 0.500', 'undefined → 0.500')
    """
    return f"{number(first)} → {number(last)}"


def percent(share: float) -> str:
    """A share in percent.

    Examples
    --------
    >>> percent(0.125), percent(float("nan"))
    ('12.5 %', 'undefined')
    """
    return number(share) if math.isnan(share) else f"{100 * share:.1f} %"


def duration(seconds: float) -> str:
    """A time for readers.

    Examples
    --------
    >>> duration(0.42), duration(75.0), duration(4000.0)
    ('0.4 s', '1 min 15 s', '1 h 6 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(nbytes: int) -> str:
    """A file size for readers.

    Examples
    --------
    >>> size(512), size(2048), size(5_000_000)
    ('512 B', '2.0 KiB', '4.8 MiB')
    """
    if nbytes < 1024:
        return f"{nbytes} B"
    value, units = float(nbytes), iter(("KiB", "MiB", "GiB", "TiB"))
    unit = ""
    while value >= 1024 and unit != "TiB":
        value, unit = value / 1024, next(units)
    return f"{value:.1f} {unit}"


def plural(count: int, word: str) -> str:
    """A count with its word.

    Examples
    --------
    >>> plural(1, "epoch"), plural(1200, "batch")
    ('1 epoch', '1,200 batches')
    """
    ending = "" if count == 1 else "es" if word == "batch" else "s"
    return f"{count:,} {word}{ending}"
