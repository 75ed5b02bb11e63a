"""The guide's own code that reads a run's results, word for word, on a run that was replayed."""

import json
import math
import os
import statistics
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from analyzer_service import (
    create_pathologist_annotation_interface,
    generate_clinical_validation_report,
)
from analyzer_service.pipeline import PipelineSettings
from analyzer_service.receive.inventory import Inventory
from analyzer_service.receive.replay import Replay
from analyzer_service.receive.runs import RunsSettings
from analyzer_service.workers import InlineWorkers
from tests.analyzer_service.pipeline.driving import make_said
from tests.analyzer_service.receive.recorded import items_of, write

GUIDE = Path(__file__).parents[2] / ".." / "shared" / "GUIDE.md"

EXPORT_TO_EXTERNAL_TOOLS = """\
# All metrics available in JSON format
with open('final_training_metrics.json', 'r') as f:
    training_data = json.load(f)

# Convert to DataFrame for analysis
df = pd.DataFrame(training_data['batch_metrics'])

# Statistical analysis
correlation_matrix = df.corr()
attention_trends = df.groupby('batch_idx')['attention_entropy'].mean()
"""
CLINICAL_WORKFLOWS = """\
# Export attention patterns for clinical review
attention_patterns = model.auto_analyzer.get_batch_summary()

# Generate clinical validation report
clinical_report = generate_clinical_validation_report(attention_patterns)

# Prepare for expert annotation
annotation_interface = create_pathologist_annotation_interface(attention_patterns)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An epoch, recorded and replayed with the real analyses and drawings."""
    home = tmp_path_factory.mktemp("guide")
    recording = write(home / "demo.mcap", items_of(make_said(epochs=1)))
    settings = RunsSettings(home, pipeline=PipelineSettings(end_grace_s=0.0))
    with closing(InlineWorkers()) as workers:
        replayed = Replay(Inventory([recording]), workers, settings).run()
    return replayed.runs[0].folder


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def execute(snippet: str, folder: Path, **names: Any) -> dict[str, Any]:
    """What a snippet has defined, run in the folder as a user would."""
    with inside(folder):
        exec(compile(snippet, "GUIDE.md", "exec"), names)
    return names


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not here")
@pytest.mark.parametrize("snippet", [EXPORT_TO_EXTERNAL_TOOLS, CLINICAL_WORKFLOWS])
def test_the_snippets_are_the_guides(snippet: str) -> None:
    assert f"```python\n{snippet}```" in GUIDE.read_text("utf-8")


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not here")
def test_no_other_snippet_of_the_guide_reads_a_runs_files() -> None:
    blocks = GUIDE.read_text("utf-8").split("```python\n")[1:]
    snippets = [block.partition("```")[0] for block in blocks]
    reading = [text for text in snippets if any(word in text for word in ("pd.", "json", "open("))]
    assert reading == [EXPORT_TO_EXTERNAL_TOOLS]


def test_export_to_external_tools(folder: Path) -> None:
    """With `numeric_only=True`, as pandas now asks."""
    snippet = EXPORT_TO_EXTERNAL_TOOLS.replace("df.corr()", "df.corr(numeric_only=True)")
    found = execute(snippet, folder, json=json, pd=pd)

    rows = found["training_data"]["batch_metrics"]
    assert (len(rows), len(found["df"])) == (12, 12)
    losses, scores = ([row[name] for row in rows] for name in ("loss", "ssim"))
    expected = statistics.correlation(losses, scores)
    assert found["correlation_matrix"].loc["loss", "ssim"] == pytest.approx(expected)
    by_index: dict[int, list[float]] = {}
    for row in rows:
        by_index.setdefault(row["batch_idx"], []).append(row["attention_entropy"])
    means = {index: statistics.fmean(values) for index, values in by_index.items()}
    assert found["attention_trends"].to_dict() == pytest.approx(means)
    assert all(1.0 < mean < math.log(64) for mean in means.values())


def test_integration_with_clinical_workflows(folder: Path) -> None:
    """In the guide's order: a report is asked for before anything is annotated."""
    summary = {"run_folder": str(folder)}
    model = SimpleNamespace(auto_analyzer=SimpleNamespace(get_batch_summary=lambda: summary))
    found = execute(
        CLINICAL_WORKFLOWS,
        folder,
        model=model,
        generate_clinical_validation_report=generate_clinical_validation_report,
        create_pathologist_annotation_interface=create_pathologist_annotation_interface,
    )

    assert "No annotation" in found["clinical_report"].markdown.read_text("utf-8")
    assert len(found["annotation_interface"].tasks) == 4
