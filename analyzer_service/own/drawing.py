"""The dashboard of a batch that was measured in a notebook."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.nuclei import segment
from analyzer_service.analyses.quality import mse, psnr, ssim
from analyzer_service.figures.dashboard import DashboardData, TileQuality, render_dashboard
from analyzer_service.figures.draw import dashboard_name
from analyzer_service.figures.panels.progress import HISTORY_NAMES
from analyzer_service.own.summary import make_folder
from analyzer_service.sinks.replacing import replacing_path
from shared.messages import BatchFrame, RunStarted

Rows = Sequence[Mapping[str, Any]]


def draw_batch(
    folder: Path, run: RunStarted, row: Mapping[str, Any], frame: BatchFrame, rows: Rows
) -> Path:
    """Draw the dashboard of `row` into `folder`, with `rows` as its history.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    pair = frame.input[0], frame.reconstruction[0]
    data = DashboardData(
        run=run,
        phase=frame.phase,
        row=row,
        history={phase: _columns(rows, phase) for phase in ("train", "val")},
        frame=frame,
        tile=TileQuality(mse=mse(*pair), psnr=psnr(*pair), ssim=ssim(*pair)),
        nuclei=segment(frame.input[0], mpp=run.mpp),
    )
    make_folder(folder)
    path = folder / dashboard_name(frame.phase, frame.batch_idx)
    with replacing_path(path) as temporary:
        temporary.write_bytes(render_dashboard(data))
    return path


def _columns(rows: Rows, phase: str) -> dict[str, NDArray[np.float64]]:
    found = [row for row in rows if row["phase"] == phase]
    return {
        name: np.array([row.get(name, np.nan) for row in found], dtype=np.float64)
        for name in ("global_step", *HISTORY_NAMES)
    }
