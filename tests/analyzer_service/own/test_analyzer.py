"""The class in a notebook: the same numbers as beside a run, from arrays and tensors."""

import doctest
import importlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from analyzer_service import AutomaticAnalyzer
from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.frame import analyze_frame
from analyzer_service.analyses.tissue_facts import TissueFacts, named_vectors
from analyzer_service.commit.rows import build_row
from analyzer_service.own.arrays import as_images
from shared.errors import AnalysisError
from shared.messages import BatchFrame
from tests.builders import make_batch, make_frame, make_run_started


class Own(AutomaticAnalyzer):
    def custom_analysis(self, batch_metrics: dict[str, Any], frame: BatchFrame) -> dict[str, float]:
        return {"loss": 2 * batch_metrics["loss"], "brightness": float(frame.input.mean())}


def guides(analyzer: AutomaticAnalyzer, number: int = 1, **options: Any) -> dict[str, Any]:
    """The guide's call, with the arrays of a built frame."""
    frame = make_frame(number, phase=options.get("phase", "train"))
    return analyzer.analyze_batch(
        batch_idx=number,
        input_tensor=frame.input,
        output_tensor=frame.reconstruction,
        **{"loss": 0.5, "attention": frame.attention, "activation": frame.activation} | options,
    )


def test_numbers_are_those_of_a_run(tmp_path: Path) -> None:
    frame = make_frame(1)
    found = guides(AutomaticAnalyzer(stain="he", mpp=0.5, save_dir=tmp_path))
    facts = TissueFacts(named_vectors("ruifrok", "he"), 0.5)
    part = analyze_frame(frame, facts).row
    expected = build_row(make_batch(1), part, make_run_started())
    measured = [name for name in part if name != "mse"]
    assert len(measured) > 100
    for name in measured:
        assert found[name] == pytest.approx(expected[name], rel=0, abs=0, nan_ok=True), name
    assert found["mse"] == part["mse"]
    assert found["loss"] == 0.5
    assert found["attention_entropy"] == part["attention_bam_384_attention_entropy"]


def test_own_numbers_stand_beside_the_built_in_ones() -> None:
    found = guides(Own())
    assert found["loss"] == 0.5
    assert found["own_loss"] == 1.0
    assert found["own_brightness"] == make_frame(1).input.mean()


def test_the_guides_override_with_one_argument_works() -> None:
    class Guide(AutomaticAnalyzer):
        def custom_analysis(self, batch_metrics):  # type: ignore[no-untyped-def, override]
            return {"twice": 2 * batch_metrics["ssim"]}

    class GuidesOther(AutomaticAnalyzer):
        def custom_pathology_analysis(self, batch_metrics: dict[str, Any]) -> dict[str, float]:
            return self.compute_pathology_correlations(batch_metrics)

    found = guides(Guide())
    assert found["own_twice"] == 2 * found["ssim"]
    found = guides(GuidesOther())
    assert found["own_nuclear_attention_auc"] == found["nuclear_attention_auc"]


def test_correlations_are_those_of_attention_with_tissue() -> None:
    analyzer = AutomaticAnalyzer()
    found = analyzer.compute_pathology_correlations(guides(analyzer))
    guide = {"nuclear_attention_overlap", "tissue_attention_correlation", "spatial_consistency"}
    assert guide <= set(found)
    assert "tissue_attention_correlation/eosin_bam_16" in found
    assert not {"loss", "nuclear_count", "nuclear_attention_undefined_bam_16"} & set(found)


def test_what_the_hook_changes_stays_its_own() -> None:
    class Changing(AutomaticAnalyzer):
        def custom_analysis(self, batch_metrics: dict[str, Any], frame: BatchFrame) -> object:
            batch_metrics.clear()
            return {}

    assert guides(Changing())["loss"] == 0.5


def test_an_error_is_seen_in_a_notebook_and_leaves_no_row() -> None:
    class Wrong(AutomaticAnalyzer):
        def custom_analysis(self, batch_metrics: dict[str, Any], frame: BatchFrame) -> object:
            return [1.0]

    analyzer = Wrong()
    with pytest.raises(AnalysisError, match=r"expected a mapping of names to numbers, got .* list"):
        guides(analyzer)
    assert analyzer.batches == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
def test_tensors_give_what_arrays_give(dtype: torch.dtype) -> None:
    frame = make_frame(1)
    bytes_ = [torch.from_numpy(a.copy()) for a in (frame.input, frame.reconstruction)]
    scale = 1 if dtype == torch.uint8 else 255
    clean, output = ((t.permute(0, 3, 1, 2) / scale).to(dtype) for t in bytes_)
    gates = {n: torch.from_numpy(g.copy()).requires_grad_() for n, g in frame.attention.items()}
    found = AutomaticAnalyzer().analyze_batch(1, clean, output, torch.tensor(0.5), attention=gates)
    expected = guides(AutomaticAnalyzer(), activation={})
    if dtype == torch.bfloat16:  # eight bits of a fraction: close, not equal
        assert found["ssim"] == pytest.approx(expected["ssim"], abs=0.02)
        return
    for name in set(expected) - {"timestamp"}:
        if name != "phase":
            assert found[name] == pytest.approx(expected[name], rel=0, abs=0, nan_ok=True), name


@pytest.mark.parametrize(
    ("clean", "message"),
    [
        (np.zeros((2, 8)), "expected images"),
        (np.zeros((2, 8, 8, 4)), "expected images"),
        (np.zeros((2, 8, 8, 3), np.int64), "uint8 or float"),
        ("a tile", "expected images"),
        ([[1], [1, 2]], "expected an array or a tensor"),
    ],
)
def test_what_is_no_image_is_named(clean: Any, message: str) -> None:
    with pytest.raises(ArrayError, match=message):
        AutomaticAnalyzer().analyze_batch(1, clean, clean, 0.5)


def test_maps_of_another_count_are_named() -> None:
    frame = make_frame(1)
    with pytest.raises(ArrayError, match="does not fit together"):
        guides(AutomaticAnalyzer(), attention={"gate": frame.attention["bam_16"][:1]})


def test_images_beyond_float32_are_clipped_as_any() -> None:
    far = np.zeros((1, 2, 2, 3))
    far[0, 0, 0], far[0, 0, 1], far[0, 1, 0] = 1e300, -1e300, np.nan
    assert as_images(far)[0, :, :, 0].tolist() == [[255, 0], [0, 0]]


def test_one_image_and_a_gate_with_channels_will_do() -> None:
    frame = make_frame(1)
    gate = np.stack([frame.attention["bam_16"][0]] * 3)[None]
    found = AutomaticAnalyzer().analyze_batch(
        1, frame.input[0], frame.reconstruction[0], 0.5, attention={"bam": gate}
    )
    assert found["samples"] == 1
    assert found["attention_bam_attention_mean"] == pytest.approx(gate.mean(), abs=1e-7)


def test_the_dashboard_is_drawn(tmp_path: Path) -> None:
    analyzer = Own(save_dir=tmp_path / "new")
    for number in (1, 2):
        guides(analyzer, number)
    path = analyzer.create_batch_visualization(2)
    assert path == tmp_path / "new" / "train_batch_000002.png"
    picture = cv2.imread(str(path))
    assert picture.shape[1] == 1600
    frame = make_frame(7)
    other = analyzer.create_batch_visualization(
        batch_idx=1000, input_tensor=frame.input, output_tensor=frame.reconstruction, phase="val"
    )
    assert other.name == "val_batch_001000.png"
    assert len(analyzer.batches) == 2
    with pytest.raises(AnalysisError, match="train batch 1 is not at hand"):
        analyzer.create_batch_visualization(1)


def test_summary_and_file_agree_with_pandas(tmp_path: Path) -> None:
    analyzer = Own(model=None, device="cuda", save_dir=tmp_path)
    for number in (1, 2, 3):
        guides(analyzer, number, loss=[0.5, 0.25, math.nan][number - 1])
    guides(analyzer, 1, phase="val")
    summary = analyzer.get_batch_summary()
    assert summary["run_folder"] == str(tmp_path)
    assert summary["batches"] == {"train": 3, "val": 1}
    found = json.loads(analyzer.save_metrics().read_text("utf-8"))
    assert found["summary"] == summary["summary"]
    train = pd.DataFrame(found["batch_metrics"]).query("phase == 'train'")
    loss = summary["summary"]["train"]["loss"]
    assert loss["mean"] == train["loss"].mean() == 0.375
    assert loss["std"] == pytest.approx(train["loss"].std())
    assert (loss["n"], loss["undefined"]) == (2, 1)
    assert summary["latest"]["train"]["own_brightness"] == train["own_brightness"].iloc[-1]
    assert list(train["global_step"]) == [1, 2, 3]
    assert analyzer.save_metrics(tmp_path / "a" / "b.json").is_file()


def test_torch_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from analyzer_service import AutomaticAnalyzer\n"
        "tiles = np.full((2, 64, 64, 3), 200, np.uint8)\n"
        "gates = {'bam': np.random.default_rng(0).random((2, 16, 16))}\n"
        f"analyzer = AutomaticAnalyzer(model=None, device=None, save_dir={str(tmp_path)!r})\n"
        "analyzer.analyze_batch(1, tiles, tiles, 0.5, attention=gates)\n"
        "analyzer.create_batch_visualization(1)\n"
        "analyzer.save_metrics()\n"
        "print(sorted({'torch', 'zmq', 'trainer', 'wandb', 'lightning'} & set(sys.modules)))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["analyzer", "numbers"])
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"analyzer_service.own.{name}"))
    assert (failed, tried > 0) == (0, True)
