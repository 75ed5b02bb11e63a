"""``auto_analyzer`` where there is nothing to ask, and classes that another process cannot find."""

import logging
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from trainer import AnalysisEnabledMainModel, SidecarCallback
from trainer.capture.options import SidecarOptions
from trainer.capture.run_results import results_of
from trainer.results import RunResults, name_of_class


class Own:
    def custom_analysis(self, batch_metrics):
        return {}


def test_without_a_fit_it_says_what_to_do() -> None:
    model = AnalysisEnabledMainModel(model="small", sidecar="off")
    with pytest.raises(ConfigurationError, match="fit first, with the sidecar on"):
        model.auto_analyzer.get_batch_summary()


@pytest.mark.parametrize(
    ("sidecar", "message"),
    [
        ("off", "the sidecar is off"),
        ("local", "within seconds of the run's first batch"),
        ("tcp://127.0.0.1:1", r"an analyzer elsewhere .* analyzer_service summary RUN"),
    ],
)
def test_where_there_are_no_results_it_says_so(sidecar: str, message: str, tmp_path: Path) -> None:
    callback = SidecarCallback({}, sidecar=sidecar, output_dir=tmp_path, run_name="none")
    for call in (
        lambda found: found.get_batch_summary(),
        lambda found: found.save_metrics(),
        lambda found: found.create_batch_visualization(1),
        lambda found: found.compute_pathology_correlations(),
        lambda found: found.run_folder,
    ):
        with pytest.raises(ConfigurationError, match=message):
            call(callback.results)


@pytest.mark.parametrize("sidecar", ["local", "tcp://127.0.0.1:1"])
def test_the_folder_is_where_it_is_known_to_be(sidecar: str, tmp_path: Path) -> None:
    (folder := tmp_path / "auto_analysis_mine").mkdir()
    (folder / "metrics.sqlite").touch()
    options = SidecarOptions({}, sidecar=sidecar, output_dir=tmp_path)
    said = None if sidecar == "local" else str(folder)
    assert results_of(options, "mine", said).run_folder == folder


def test_a_run_that_goes_on_has_no_complete_file_yet(tmp_path: Path) -> None:
    (tmp_path / "metrics.sqlite").touch()
    (tmp_path / "train_batch_000100.png").touch()
    results = RunResults(tmp_path, "")
    with pytest.raises(ConfigurationError, match="is written as the run ends: give a path"):
        results.save_metrics()
    with pytest.raises(ConfigurationError, match=r"the last one is train_batch_000100\.png"):
        results.create_batch_visualization(50)
    assert results.create_batch_visualization(100).name == "train_batch_000100.png"


def test_what_the_analyzer_says_is_said(tmp_path: Path) -> None:
    (tmp_path / "metrics.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(ConfigurationError, match=r"metrics\.sqlite is not readable"):
        RunResults(tmp_path, "").get_batch_summary()


def test_analyze_batch_never_harms_a_step(caplog: pytest.LogCaptureFixture) -> None:
    results = RunResults(None, "")
    with caplog.at_level(logging.WARNING):
        assert results.analyze_batch(1, 2, 3, loss=0.5) == {}
        assert results.analyze_batch() == {}
    assert caplog.text.count("the sidecar analyzes every batch") == 1


def test_a_class_is_named_by_its_module() -> None:
    assert name_of_class(Own()) == f"{__name__}:Own"
    assert name_of_class(Own) == f"{__name__}:Own"


def test_what_another_process_cannot_import_is_refused() -> None:
    class Local(Own):
        pass

    in_notebook = type("InNotebook", (Own,), {"__module__": "__main__"})
    for kind in (Local, in_notebook):
        with pytest.raises(ConfigurationError, match="must be importable"):
            name_of_class(kind)
    with pytest.raises(ConfigurationError, match="takes a subclass"):
        name_of_class(3)


def test_an_own_analyzer_is_for_a_local_sidecar() -> None:
    with pytest.raises(ConfigurationError, match="serve --analyzer"):
        SidecarCallback({}, sidecar="tcp://127.0.0.1:1", analyzer="mine:Mine")
