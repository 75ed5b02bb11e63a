"""Which charts a run has: its numbers in groups, a chart for each metric, a line for each layer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analyzer_service.analyses import pathology_names
from analyzer_service.analyses.pathology_names import layer_key, layer_names
from analyzer_service.commit.rows import CORE
from analyzer_service.figures.ranges import GUIDE, GoodRange, Ranges
from analyzer_service.own.numbers import PREFIX as OWN
from analyzer_service.sinks.report_evidence import primary_layer
from shared.messages import Layer, RunStarted

GROUPS: Final = {
    "training": "Training",
    "attention": "Attention, by layer",
    "pathology": "Attention on tissue, by layer",
    "correlations": "Correlation of attention with tissue, by layer",
    "own": "Your own analyses",
    "scalars": "Your own scalars",
    "tissue": "Tissue of the tiles",
    "timings": "Times",
    "memory": "Memory",
    "activation": "Activations, by layer",
    "quality": "Maps and tiles without a value",
}
"""Groups of charts and their titles, in the order in which they are shown."""

_TRAINING: Final = {
    "loss": ("Loss", ""),
    "mse": ("Mean squared error", ""),
    "ssim": ("SSIM", ""),
    "psnr": ("PSNR", "dB"),
}
_TIMES: Final = {
    "training_time_ms": ("Training step", "ms"),
    "inference_time_ms": ("Forward pass", "ms"),
    "data_time_ms": ("Waiting for data", "ms"),
}
_MEMORY: Final = {"memory_mb": ("Memory of the trainer", "MiB")}
_UNITS: Final = {
    "attention_entropy": "nats",
    "attention_entropy_native_bits": "bits",
    "hematoxylin_intensity": "optical density",
    "eosin_intensity": "optical density",
    "dab_intensity": "optical density",
    "nuclear_area_mean": "px²",
    "nuclear_nn_distance": "px",
}
_LABELS: Final = {
    "attention_concentration_10": "Concentration, top 10 %",
    "attention_moran_i": "Moran's I",
    "attention_gini": "Gini coefficient",
    "nuclear_attention_auc": "Attention on nuclei, AUC",
    "nuclear_attention_nss": "Attention on nuclei, NSS",
    "nuclear_attention_overlap": "Attention on nuclei, overlap",
    "nuclear_attention_enrichment": "Attention on nuclei, enrichment",
    "edge_density_experimental": "Edge density (experimental)",
    "clark_evans": "Clark–Evans",
    "nuclear_area_cv": "Nuclear area, CV",
    "nuclear_nn_distance": "Distance of nearest nuclei",
    "nuclear_eccentricity_mean": "Eccentricity of nuclei",
    "learning_rate": "Learning rate",
}
_COUNTS: Final = ("undefined", "flat", "low_contrast")
_KEYS: Final = frozenset(
    ("epoch", "batch_idx", "global_step", "phase_step", "rank", "ranks", "timestamp", "batch_size")
) | {"samples"}
_STARTS: Final = {"attention": "attention", "activation": "activation"}
_LAST: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a number belongs: its group, its chart's key, and its layer if it is of one."""

    group: str
    key: str
    layer: str | None = None


def catalog(
    started: RunStarted, names: Mapping[str, Sequence[str]], ranges: Ranges = GUIDE
) -> dict[str, Any]:
    """Groups of charts for the browser.

    Parameters
    ----------
    started : RunStarted
        Names the layers.
    names : mapping
        Of each phase the numbers that its rows have.
    ranges : Ranges
        The good ranges that the run is judged by.

    Returns
    -------
    dict
        ``{"groups": [{"key", "title", "charts": [{"key", "label", "unit", "good", "lines":
        [{"name", "layer"}]}]}], "layers": [...], "primary": name or None}``; `good` is
        ``[low, high]``, where either may be None, or None. Numbers that only repeat the primary
        layer's under the guide's short names are left out.
    """
    every = list(dict.fromkeys(name for of_phase in names.values() for name in of_phase))
    good = {each.key: each for each in ranges.all}
    groups: dict[str, dict[str, list[dict[str, str | None]]]] = {key: {} for key in GROUPS}
    for name, place in _placed(every, started):
        line = {"name": name, "layer": place.layer}
        groups[place.group].setdefault(place.key, []).append(line)
    return {
        "groups": [
            {
                "key": group,
                "title": GROUPS[group],
                "charts": [
                    _chart(group, key, lines, good) for key, lines in _ordered(charts, good)
                ],
            }
            for group, charts in groups.items()
            if charts
        ],
        "layers": [{"name": layer.name, "kind": layer.kind} for layer in started.layers],
        "primary": primary_layer(started),
    }


def _chart(
    group: str, key: str, lines: list[dict[str, str | None]], good: Mapping[str, GoodRange]
) -> dict[str, Any]:
    judged = good.get(key) if group != "activation" else None
    return {
        "key": f"{group}/{key}",
        "label": label_of(key),
        "unit": _unit(key),
        "good": None if judged is None else [judged.low, judged.high],
        "lines": lines,
    }


def label_of(key: str) -> str:
    """A chart's title.

    Examples
    --------
    >>> label_of("ssim"), label_of("attention_center_distance"), label_of("texture_energy")
    ('SSIM', 'Center distance', 'Texture energy')
    """
    known = {**_TRAINING, **_TIMES, **_MEMORY}
    if key in known:
        return known[key][0]
    if key in _LABELS:
        return _LABELS[key]
    if key.startswith(pathology_names.CORRELATION):
        feature = key.removeprefix(pathology_names.CORRELATION).removeprefix("/")
        return f"Correlation with {(feature or 'tissue').replace('_', ' ')}"
    words = key.removeprefix(OWN) if key.startswith(OWN) else key
    words = words.removeprefix("attention_").removeprefix("num_attention_").replace("_", " ")
    return words[:1].upper() + words[1:]


def _unit(key: str) -> str:
    known = {**_TRAINING, **_TIMES, **_MEMORY}
    return known[key][1] if key in known else _UNITS.get(key, "")


def _ordered(
    charts: Mapping[str, list[dict[str, str | None]]], good: Mapping[str, GoodRange]
) -> list[tuple[str, list[dict[str, str | None]]]]:
    """The metrics that have a good range first, in its order; the others as they come."""
    order = dict.fromkeys((*_TRAINING, *good))
    first = {key: place for place, key in enumerate(order)}
    return sorted(charts.items(), key=lambda item: first.get(item[0], _LAST))


def _placed(names: Iterable[str], started: RunStarted) -> Iterator[tuple[str, _Place]]:
    by_layer = _names_of_layers(started.layers)
    aliases = {place.key for place in by_layer.values() if place.group != "activation"}
    for name in names:
        if name in by_layer:
            yield name, by_layer[name]
            continue
        of_layer = _of_layer(name, started.layers)
        if of_layer is not None:
            yield name, of_layer
        elif name not in _KEYS and name not in aliases and not _is_short(name, started):
            yield name, _Place(_group(name), name)


def _names_of_layers(layers: Sequence[Layer]) -> dict[str, _Place]:
    """Pathology's numbers, whose names end in the layer's."""
    places = {}
    for layer in layers:
        for name in layer_names():
            correlates = name.startswith(pathology_names.CORRELATION)
            group = "correlations" if correlates else "pathology"
            places[layer_key(name, layer.name)] = _Place(group, name, layer.name)
        count = pathology_names.LAYER_COUNT
        places[layer_key(count, layer.name)] = _Place("quality", count, layer.name)
    return places


def _of_layer(name: str, layers: Sequence[Layer]) -> _Place | None:
    """Numbers of a map, whose names begin with the layer's; the longest that fits is meant."""
    fitting = [layer for layer in layers if name.startswith(f"{_STARTS[layer.kind]}_{layer.name}_")]
    if not fitting:
        return None
    layer = max(fitting, key=lambda each: len(each.name))
    key = name.removeprefix(f"{_STARTS[layer.kind]}_{layer.name}_")
    if key in _COUNTS:
        return _Place("quality", f"{_STARTS[layer.kind]}_{key}", layer.name)
    return _Place(layer.kind, key, layer.name)


def _is_short(name: str, started: RunStarted) -> bool:
    """Whether it is the primary layer's number under the guide's short name."""
    known = ("attention_", "num_attention_peaks", "peak_coverage", "temporal_consistency")
    return primary_layer(started) is not None and name.startswith(known)


def _group(name: str) -> str:
    if name in _TRAINING:
        return "training"
    if name == "spatial_consistency":
        return "attention"
    if name in _TIMES:
        return "timings"
    if name in _MEMORY:
        return "memory"
    if name.startswith(OWN):
        return "own"
    if name in pathology_names.COUNTS:
        return "quality"
    if name in pathology_names.TISSUE_NUMBERS:
        return "tissue"
    return "scalars" if name not in CORE else "training"
