"""Draw a dashboard from a run's folder into that folder."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzer_service.alerts.good_ranges import good_ranges
from analyzer_service.analyses.nuclei import segment
from analyzer_service.analyses.quality import mse, psnr, ssim
from analyzer_service.commit.reader import RunReader
from analyzer_service.figures.dashboard import render_dashboard
from analyzer_service.figures.data import Columns, DashboardData, TileQuality
from analyzer_service.figures.panels.progress import HISTORY_NAMES
from shared.errors import SinkError
from shared.messages import BatchFrame, Phase


def draw_dashboard(
    folder: Path, phase: Phase, number: int, release: int, nuclei: bool = True
) -> Path:
    """Draw the dashboard of row `release` and return its file.

    It shows rows up to `release` only, so its bytes depend on what was released and received,
    not on when it is drawn. The file appears whole or not at all.

    Parameters
    ----------
    folder : Path
        The run's folder.
    phase : str
        ``train`` or ``val``.
    number : int
        The batch's `phase_step`; names the file: ``train_batch_000100.png``.
    release : int
        The batch's row.
    nuclei : bool
        Outline the shown tile's nuclei.

    Raises
    ------
    ConfigurationError
        If `folder` holds no run.
    KeyError
        If row `release` is not released.
    SinkError
        If the file cannot be written.
    """
    png = render_dashboard(read_dashboard(folder, phase, number, release, nuclei=nuclei))
    return _write(folder / dashboard_name(phase, number), png)


def dashboard_name(phase: Phase, number: int) -> str:
    """Name of a dashboard's file.

    Examples
    --------
    >>> dashboard_name("val", 1)
    'val_batch_000001.png'
    """
    return f"{phase}_batch_{number:06d}.png"


def read_dashboard(
    folder: Path, phase: Phase, number: int, release: int, *, nuclei: bool = True
) -> DashboardData:
    """Gather what the dashboard of row `release` shows."""
    with RunReader(folder) as reader:
        frame = reader.frame(phase, number)
        data = DashboardData(
            run=reader.started(release),
            phase=phase,
            row=reader.row(release).values,
            history={name: _history(reader, name, release) for name in ("train", "val")},
            frame=frame,
            tile=_tile_quality(frame),
            alerts=_alerts(reader, release),
            ranges=good_ranges(reader.alert_settings().ranges),
        )
    return replace(data, nuclei=_nuclei(data)) if nuclei else data


def _history(reader: RunReader, phase: Phase, release: int) -> Columns:
    return reader.history(phase=phase, upto=release, names=HISTORY_NAMES)


def _alerts(reader: RunReader, release: int) -> tuple[str, ...]:
    active = [alert for alert in reader.alerts(upto=release) if alert.active(release)]
    return tuple(f"{alert.title} since step {alert.since_step:,}" for alert in reversed(active))


def _tile_quality(frame: BatchFrame | None) -> TileQuality | None:
    if frame is None or not frame.samples:
        return None
    pair = frame.input[0], frame.reconstruction[0]
    return TileQuality(mse=mse(*pair), psnr=psnr(*pair), ssim=ssim(*pair))


def _nuclei(data: DashboardData) -> NDArray[np.int32] | None:
    if data.frame is None or data.sample is None:
        return None
    return segment(data.frame.input[0], mpp=data.mpp)


def _write(path: Path, png: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(png)
        os.replace(temporary, path)
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path
