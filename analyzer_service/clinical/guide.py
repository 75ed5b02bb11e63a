"""The guide's calls, on the folder of a run."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from analyzer_service.annotations.reader_folders import made_by_page, owners
from analyzer_service.clinical.interface import (
    ANNOTATIONS_FOLDER,
    DEFAULT_TILES,
    AnnotationInterface,
    prepare_annotations,
    task_list,
)
from analyzer_service.clinical.matching import has_annotations
from analyzer_service.clinical.report import ClinicalValidationReport, write_report
from analyzer_service.clinical.scoring import TOLERANCE_PX
from analyzer_service.clinical.validating import validate_run
from shared.errors import ConfigurationError

logger = logging.getLogger(__name__)

_FOLDER_KEYS: Final = ("run_folder", "folder", "save_dir")


def generate_clinical_validation_report(
    attention_patterns: Any,
    annotations: str | os.PathLike[str] | None = None,
    *,
    readers: Sequence[str] = (),
    classes: Sequence[str] = (),
    tolerance_px: float = TOLERANCE_PX,
) -> ClinicalValidationReport:
    """Compare a run's attention with annotations, and write the report into the run's folder.

    Parameters
    ----------
    attention_patterns : path, mapping or object
        The run's folder; or a mapping or object that names it as ``run_folder``, ``folder`` or
        ``save_dir``, as a batch summary does.
    annotations : path, optional
        Folder of GeoJSON and Web Annotation files; ``annotations`` in the run's folder if not
        given, where `create_pathologist_annotation_interface` prepares them. As long as it has
        not, the report says that nothing is annotated yet.
    readers, classes : sequences of str
        As of `validate_run`; readers that the task list in the folder names, and those who marked
        in the browser, if none are given.
        The classes that it names are those that all readers were asked for.
    tolerance_px : float
        As of `validate_run`.

    Returns
    -------
    ClinicalValidationReport
        The files ``clinical_validation_report.md`` and ``.json``, and what they say. Evidence,
        never a verdict on fitness for clinical use.

    Raises
    ------
    ConfigurationError
        If no run's folder is named, or there are no annotations in the folder.
    SinkError
        If the report cannot be written.
    """
    run = run_folder_of(attention_patterns)
    folder = run / ANNOTATIONS_FOLDER if annotations is None else Path(annotations)
    tasks = task_list(folder)
    begun = annotations is not None or has_annotations(folder)
    found = validate_run(
        run,
        folder if begun else None,
        readers=tuple(readers) or _readers(tasks.readers, folder),
        classes=classes,
        asked=tasks.classes,
        tolerance_px=tolerance_px,
    )
    return write_report(run, found)


def create_pathologist_annotation_interface(
    attention_patterns: Any,
    *,
    readers: Sequence[str] = (),
    classes: Sequence[str] = (),
    most_tiles: int = DEFAULT_TILES,
) -> AnnotationInterface:
    """Prepare a run's tiles for pathologists, in ``annotations`` of its folder.

    Each tile is a PNG with an empty GeoJSON file of the same name: open the image in QuPath, mark,
    and export the objects as GeoJSON over that file. ``tasks.json`` lists them in the order in
    which they should be done. Attention is not shown, so that it cannot lead the hand. Files that
    hold annotations are never written over, so this may be called again.

    What is returned, and logged, says how to mark the same tiles in the browser: the command that
    starts the live page, and the page's path. Nothing is started or opened: a server would live
    on after the call, or die with it while people draw.

    Parameters
    ----------
    attention_patterns : path, mapping or object
        What names the run's folder, as of `generate_clinical_validation_report`.
    readers, classes, most_tiles
        As of `prepare_annotations`.

    Returns
    -------
    AnnotationInterface
        The folder and the tasks; `command` and `page` to annotate in the browser.

    Raises
    ------
    ConfigurationError
        If no run's folder is named, it kept no validation tile, or a reader's name is no folder's.
    SinkError
        If something cannot be written.
    """
    prepared = prepare_annotations(
        run_folder_of(attention_patterns),
        readers=readers,
        classes=classes,
        most_tiles=most_tiles,
    )
    if prepared.page is not None:
        logger.info("to annotate in the browser: %s, then %s", prepared.command, prepared.page)
    return prepared


def _readers(listed: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Readers of the task list, and those with files that the live page wrote."""
    in_browser = [
        name
        for name, place in owners(folder).items()
        if made_by_page(place) and any(place.glob("*.geojson"))
    ]
    return tuple(dict.fromkeys((*listed, *in_browser)))


def run_folder_of(named: Any) -> Path:
    """The folder of a run, from whatever names it.

    Raises
    ------
    ConfigurationError
        If nothing does.
    """
    if isinstance(named, str | os.PathLike):
        return Path(named)
    for key in _FOLDER_KEYS:
        value = named.get(key) if isinstance(named, Mapping) else getattr(named, key, None)
        if isinstance(value, str | os.PathLike):
            return Path(value)
    raise ConfigurationError(
        f"no run's folder in a {type(named).__name__}: give its path, or something with "
        f"{' or '.join(_FOLDER_KEYS)}"
    )
