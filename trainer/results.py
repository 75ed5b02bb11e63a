"""What the analyzer found, for the process that trains: the guide's ``model.auto_analyzer``.

The two sides never import each other, and only the analyzer knows how its folder is read. So it is
asked by its own commands, in a process of their own (a second or two a call), as the local
analyzer is started by one: nothing of it is loaded into the training.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from shared.errors import ConfigurationError
from trainer.asking import ask_analyzer

log = logging.getLogger(__name__)

FINAL: Final = "final_training_metrics.json"


class RunResults:
    """The guide's calls, about a run that another process analyzes.

    Parameters
    ----------
    folder : Path or None
        The run's folder, where it is known.
    why : str
        What to do where it is not, or is not there.
    """

    def __init__(self, folder: Path | None, why: str) -> None:
        self._folder = folder
        self._why = why
        self._warned = False

    @property
    def run_folder(self) -> Path:
        """The run's folder.

        Raises
        ------
        ConfigurationError
            If it is not on this machine, or nothing is in it yet; the message says what to do.
        """
        if self._folder is None or not (self._folder / "metrics.sqlite").exists():
            where = "" if self._folder is None else f" in {self._folder}"
            raise ConfigurationError(f"no results can be read{where}: {self._why}")
        return self._folder

    def get_batch_summary(self) -> dict[str, Any]:
        """Statistics of every number of the rows that are released so far.

        Returns
        -------
        dict
            ``run_folder``, ``run_name``, ``status``, ``batches`` by phase, ``summary`` by phase
            and name (mean, std, min, max, n, undefined), and by phase the ``latest`` row and its
            ``correlations`` of attention with tissue. None is undefined.

        Raises
        ------
        ConfigurationError
            If the run cannot be read.
        """
        found: dict[str, Any] = json.loads(ask_analyzer("summary", str(self.run_folder.absolute())))
        return found

    def compute_pathology_correlations(
        self, batch_metrics: Mapping[str, Any] | None = None, phase: str = "train"
    ) -> dict[str, Any]:
        """How attention goes with the tissue: of `batch_metrics`, or of the latest row of `phase`.

        Raises `ConfigurationError` as `get_batch_summary`.
        """
        known: dict[str, Any] = self.get_batch_summary()["correlations"].get(phase, {})
        if batch_metrics is None:
            return known
        return {name: batch_metrics[name] for name in known if name in batch_metrics}

    def create_batch_visualization(
        self, batch_idx: int, *_images: Any, phase: str = "train", **_more: Any
    ) -> Path:
        """The dashboard that the analyzer drew of batch `batch_idx` of `phase`, from 1.

        Raises
        ------
        ConfigurationError
            If it drew none.
        """
        path = self.run_folder / f"{phase}_batch_{batch_idx:06d}.png"
        if path.exists():
            return path
        drawn = sorted(each.name for each in self.run_folder.glob(f"{phase}_batch_*.png"))
        last = f"the last one is {drawn[-1]}" if drawn else "none is drawn yet"
        raise ConfigurationError(
            f"there is no {path.name}: one is drawn every analysis_freq training batches, and of "
            f"the first 5 validation batches of an epoch; {last}"
        )

    def save_metrics(self, path: str | Path | None = None) -> Path:
        """The run's complete JSON: where it is, or a copy of it at `path`.

        Of a run that still goes on, `path` gets the rows so far (a list).

        Raises
        ------
        ConfigurationError
            If there is no such file yet, and no `path`.
        """
        final = self.run_folder / FINAL
        if path is None and not final.exists():
            raise ConfigurationError(f"{FINAL} is written as the run ends: give a path until then")
        if path is None:
            return final
        path = Path(path)
        if final.exists():
            shutil.copyfile(final, path)
        else:
            run, out = str(self.run_folder.absolute()), str(path.absolute())
            ask_analyzer("export", run, "--to", "json", "--out", out)
        return path

    def analyze_batch(self, *_given: Any, **_more: Any) -> dict[str, Any]:
        """Nothing: each batch is analyzed beside the training already. Said once, never raised."""
        if not self._warned:
            self._warned = True
            log.warning(
                "auto_analyzer.analyze_batch does nothing here: the sidecar analyzes every batch "
                "(get_batch_summary has what it found); to measure arrays by hand, use "
                "analyzer_service.AutomaticAnalyzer"
            )
        return {}


def name_of_class(analyzer: Any) -> str:
    """``module:Class`` of an own analyzer, by which the sidecar takes it.

    Raises
    ------
    ConfigurationError
        If it has no ``custom_analysis``, or another process could not import its class.
    """
    kind = analyzer if isinstance(analyzer, type) else type(analyzer)
    if not callable(getattr(kind, "custom_analysis", None)):
        raise ConfigurationError(
            f"auto_analyzer takes a subclass of analyzer_service.AutomaticAnalyzer, got a "
            f"{kind.__name__}"
        )
    if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        raise ConfigurationError(
            f"{kind.__name__} must be importable: the analyzer runs in another process. Put it "
            "into a file of its own (my_module.py), at its top, and import it from there"
        )
    return f"{kind.__module__}:{kind.__qualname__}"
