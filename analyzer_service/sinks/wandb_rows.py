"""Rows as W&B takes them: the guide's keys, each with an explicit step key of its own.

Pure functions. ``step=`` is never used, because W&B drops what comes late under it; training
keys go by ``train/global_step``, validation keys by ``val/phase_step``, epochs by
``epoch/epoch``. What is undefined is left out.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from analyzer_service.analyses import pathology_names
from analyzer_service.analyses.cadence import DETAIL_EVERY
from analyzer_service.analyses.pathology_names import CORRELATION, OVERLAPS, layer_key, layer_names
from analyzer_service.commit.views import OwnAnalyzer
from analyzer_service.sinks.moments import Table
from analyzer_service.sinks.plain import metrics_of, plain
from shared.messages import Layer, RunStarted

DETAILED_VAL_BATCHES: Final = 5
STEP_KEYS: Final = {
    "train": "train/global_step",
    "val": "val/phase_step",
    "epoch": "epoch/epoch",
}
"""Step key of each group of keys, for ``define_metric``."""

_GUIDE_SHORT: Final = ("num_attention_peaks", "peak_coverage")
_TISSUE: Final = frozenset((*pathology_names.TISSUE_NUMBERS, *pathology_names.COUNTS))
_GUIDE_WHOLE: Final = ("spatial_consistency", OVERLAPS[0], CORRELATION)
"""Names that the guide writes without a layer: the primary layer's."""
_CONSISTENCIES: Final = ("spatial_consistency", "temporal_consistency")
_ANALYSES: Final = (
    *("attention_", "activation_", *_CONSISTENCIES, *_GUIDE_SHORT),
    *pathology_names.STARTS,
)


def run_key(run_id: str) -> str:
    """The W&B id of a run: the same for every start, so that no duplicate can occur.

    Examples
    --------
    >>> run_key("run-0001")
    '302aa61015d20d93'
    """
    return hashlib.sha256(run_id.encode()).hexdigest()[:16]


def run_config(started: RunStarted, own: Sequence[OwnAnalyzer] = ()) -> dict[str, Any]:
    """The run's configuration as the trainer said it, with the fixed facts of the run.

    Own analyses, if there are any, stand among them.
    """
    facts = started.model_dump(exclude={"config", "type"})
    facts |= {"own_analyzers": [asdict(source) for source in own]} if own else {}
    return {**plain(started.config), "sidelight": plain(facts)}


def log_row(
    values: Mapping[str, Any], layers: Sequence[Layer], *, several: bool = False
) -> dict[str, float]:
    """What one row logs: its scalars always, attention and activation on detailed rows.

    Parameters
    ----------
    values : mapping
        A row's values.
    layers : sequence of Layer
        The run's layers: only keys that name one of them are logged in detail, not the primary
        layer's short names, which would say the same twice.
    several : bool
        Whether the run has several ranks, so that the row is not the run's own.

    Returns
    -------
    dict
        W&B keys and finite values. Rows of rank 1 and up, with `several` of rank 0 too, have
        ``rank_{n}/`` in their keys.
    """
    start = _start(values, several=several)
    detailed = is_detailed(values)
    logged = {
        f"{start}{name}": float(value)
        for name, value in metrics_of(values).items()
        if _is_number(value) and (not _is_analysis(name) or (detailed and _tells(name, layers)))
    }
    return _steps(values) | logged


def is_detailed(values: Mapping[str, Any]) -> bool:
    """Tell whether a row logs every attention metric.

    Every 20th batch of a phase does, and the first 5 validation batches of each epoch.
    """
    if values["phase_step"] % DETAIL_EVERY == 0:
        return True
    return bool(values["phase"] == "val" and values["batch_idx"] < DETAILED_VAL_BATCHES)


def log_image(phase: str, number: int, values: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """Key of a dashboard's image and the step keys that go with it, from its row's values."""
    return f"{phase}/batch_visualization_{number}", _steps(values)


def log_epoch(epoch: int, global_step: int, tables: Mapping[str, Table]) -> dict[str, float]:
    """Means over an epoch's batches: ``epoch/{phase}_{metric}``, with how many batches.

    Parameters
    ----------
    tables : mapping of phase to Table
        The metrics of the epoch's rows.
    """
    logged: dict[str, float] = {"epoch/epoch": epoch, "epoch/global_step": global_step}
    for phase, table in tables.items():
        if table.rows:
            logged[f"epoch/{phase}_batches"] = table.rows
        for name, column in sorted(table.columns().items()):
            if column.moments.n:
                logged[f"epoch/{phase}_{name}"] = column.moments.mean
    return logged


def _steps(values: Mapping[str, Any]) -> dict[str, float]:
    phase = values["phase"]
    return {f"{phase}/{name}": values[name] for name in ("global_step", "phase_step", "epoch")}


def _start(values: Mapping[str, Any], *, several: bool) -> str:
    rank = values.get("rank", 0)
    return f"{values['phase']}/rank_{rank}/" if rank or several else f"{values['phase']}/"


def _is_analysis(name: str) -> bool:
    return name.startswith(_ANALYSES)


def _tells(name: str, layers: Sequence[Layer]) -> bool:
    if name in _GUIDE_WHOLE or name in _TISSUE:
        return True
    pathology = (*layer_names(), pathology_names.LAYER_COUNT)
    if any(name in (layer_key(of, layer.name) for of in pathology) for layer in layers):
        return True
    return any(name.startswith(f"{layer.kind}_{layer.name}_") for layer in layers)


def _is_number(value: Any) -> bool:
    return value is not None and math.isfinite(value)
