"""`AutomaticAnalyzer`: measures batches of arrays, and what a user's own analysis adds.

A subclass serves twice: in a notebook, on arrays, and beside a run
(``python -m analyzer_service serve --analyzer my_module:MyAnalyzer``), where only its hooks are
called. The numbers are the same functions of the same bytes in both.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from analyzer_service.analyses.frame import analyze_frame
from analyzer_service.analyses.tissue_facts import TissueFacts, named_vectors
from analyzer_service.commit.rows import build_row
from analyzer_service.own.batches import Numbered, describe, make_batch, make_frame
from analyzer_service.own.hooks import run_hooks
from analyzer_service.own.summary import correlations_of, summary_of, write_metrics
from shared.errors import AnalysisError
from shared.messages import BatchFrame, Phase, Stain

_DEFAULT_FOLDER: Final = Path("auto_analysis_notebook")


class AutomaticAnalyzer:
    """Measures batches as the analyzer of a run does; made to be subclassed.

    Override `custom_analysis`. Beside a run the class is made without arguments, once in each
    worker process, and only the hooks are called.

    Parameters
    ----------
    model : optional
        The guide's; kept as ``self.model`` and not looked into.
    device : optional
        The guide's; kept. Everything is computed on the CPU.
    save_dir : path, optional
        Folder of what is saved; it is made when something is.
    stain : {"unknown", "he", "ihc"}
        How the tissue is stained.
    mpp : float, optional
        Micrometers per pixel.

    Attributes
    ----------
    batches : list of dict
        What `analyze_batch` returned, in order.

    Examples
    --------
    >>> import numpy as np
    >>> class Darkness(AutomaticAnalyzer):
    ...     def custom_analysis(self, batch_metrics, frame):
    ...         return {"darkness": 1 - frame.input.mean() / 255}
    >>> tiles = np.full((2, 32, 32, 3), 0.8)
    >>> found = Darkness().analyze_batch(1, tiles, tiles, loss=0.1)
    >>> found["loss"], found["mse"], round(found["own_darkness"], 6)
    (0.1, 0.0, 0.2)
    """

    def __init__(
        self,
        model: Any = None,
        device: Any = None,
        save_dir: str | Path | None = None,
        *,
        stain: Stain = "unknown",
        mpp: float | None = None,
    ) -> None:
        self.model, self.device = model, device
        self.save_dir = _DEFAULT_FOLDER if save_dir is None else Path(save_dir)
        self.batches: list[dict[str, Any]] = []
        self._facts = TissueFacts(named_vectors("ruifrok", stain), mpp)
        self._stain, self._mpp = stain, mpp
        self._last: dict[tuple[str, int], BatchFrame] = {}

    def custom_analysis(self, batch_metrics: dict[str, Any], frame: BatchFrame) -> Any:
        """Numbers of a batch by name, to be overridden; the base class has none.

        An override may leave `frame` out. What is returned is checked by
        `analyzer_service.own.numbers.own_numbers`; each name gets the prefix ``own_``.

        Parameters
        ----------
        batch_metrics : dict
            The batch's row as docs/architecture.md lists it; a copy. ``temporal_consistency`` is
            not known yet.
        frame : BatchFrame
            Images, maps and samples; its arrays can be read only, and not be kept.
        """
        del batch_metrics, frame
        return {}

    def custom_pathology_analysis(self, batch_metrics: dict[str, Any]) -> Any:
        """As `custom_analysis`: the guide's other name for it. May take `frame`, too."""
        del batch_metrics
        return {}

    def analyze_batch(
        self,
        batch_idx: int,
        input_tensor: Any,
        output_tensor: Any,
        loss: Any = None,
        phase: Phase = "train",
        *,
        attention: Mapping[str, Any] | None = None,
        activation: Mapping[str, Any] | None = None,
        epoch: int = 0,
        **scalars: Any,
    ) -> dict[str, Any]:
        """Measure one batch, and return its row with the own numbers in it.

        An error of an own analysis is raised here, so that it can be seen; beside a run it is
        contained.

        Parameters
        ----------
        batch_idx : int
            The batch's number; from 0, or as you count.
        input_tensor, output_tensor : arrays or tensors
            The clean images and what became of them; see `analyzer_service.own.arrays.as_images`.
        loss : number, optional
        phase : {"train", "val"}
        attention, activation : mapping of layer name to array or tensor, optional
            Gates (in (0, 1)) and mean absolute activations, (N, h, w) or (N, C, h, w). No hook is
            put on the model: give what it computed.
        epoch : int
        scalars
            ``training_time_ms``, ``inference_time_ms``, ``data_time_ms``, ``memory_mb`` and ``mse``
            take their places; any other number keeps its name.

        Raises
        ------
        ArrayError
            If something is no image or no map.
        AnalysisError
            If the own analysis returns no mapping of names to numbers.
        """
        frame = make_frame(
            self._numbered(phase, batch_idx, epoch),
            (input_tensor, output_tensor),
            attention=attention or {},
            activation=activation or {},
            mpp=self._mpp,
        )
        row = self._measure(frame, loss, scalars)
        row |= run_hooks(self, row, frame)
        self.batches.append(row)
        self._last = {(phase, batch_idx): frame}
        return dict(row)

    def create_batch_visualization(
        self,
        batch_idx: int,
        input_tensor: Any = None,
        output_tensor: Any = None,
        phase: Phase = "train",
        *,
        attention: Mapping[str, Any] | None = None,
    ) -> Path:
        """Draw the six-panel dashboard of a batch, and return its file.

        The batch that `analyze_batch` measured last needs neither images nor maps again; any
        other one is measured here, without a row of its own.

        Raises
        ------
        AnalysisError
            If there is nothing to draw.
        SinkError
            If the file cannot be written.
        """
        from analyzer_service.own.drawing import draw_batch

        frame = self._last.get((phase, batch_idx))
        if input_tensor is not None and (frame is None or attention is not None):
            numbered = self._numbered(phase, batch_idx, 0)
            images = input_tensor, output_tensor
            frame = make_frame(numbered, images, attention=attention or {}, mpp=self._mpp)
        if frame is None or not frame.samples:
            raise AnalysisError(f"{phase} batch {batch_idx} is not at hand: give its images")
        key = (phase, batch_idx)
        rows = [row for row in self.batches if (row["phase"], row["batch_idx"]) == key]
        row = rows[-1] if rows else self._measure(frame, None, {})
        run = describe(frame, stain=self._stain, mpp=self._mpp)
        return draw_batch(self.save_dir, run, row, frame, self.batches)

    def get_batch_summary(self) -> dict[str, Any]:
        """Statistics of every number over the batches so far.

        Returns
        -------
        dict
            ``run_folder`` (`save_dir`), ``batches`` by phase, ``summary`` by phase and name
            (mean, std, min, max, n, undefined; null is None), and by phase the ``latest`` row and
            its ``correlations``.
        """
        return summary_of(self.batches, self.save_dir)

    def save_metrics(self, path: str | Path | None = None) -> Path:
        """Write every row and the statistics as ``final_training_metrics.json`` has them.

        Raises
        ------
        SinkError
            If the file cannot be written.
        """
        return write_metrics(self.batches, self.save_dir, None if path is None else Path(path))

    def compute_pathology_correlations(self, batch_metrics: Mapping[str, Any]) -> dict[str, float]:
        """The numbers of a batch that compare attention with the tissue, of every layer."""
        return correlations_of(batch_metrics)

    def _measure(self, frame: BatchFrame, loss: Any, scalars: Mapping[str, Any]) -> dict[str, Any]:
        part = analyze_frame(frame, self._facts).row
        batch = make_batch(frame, loss, scalars)
        started = describe(frame, stain=self._stain, mpp=self._mpp)
        return {"phase": frame.phase} | build_row(batch, part, started)

    def _numbered(self, phase: Phase, batch_idx: int, epoch: int) -> Numbered:
        counts = Counter(row["phase"] for row in self.batches)
        counts[phase] += 1
        return Numbered(phase, epoch, batch_idx, counts["train"], counts[phase])
