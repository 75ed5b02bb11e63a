"""Real trainers of the demo's small model, healthy and sabotaged: each raises the right alert.

Each trains some hundred steps on tiles of 32 pixels and is analyzed from its recording.
"""

from pathlib import Path

import pytest

from analyzer_service.commit.reader import AlertRecord, RunReader
from tests.processes.commands import ROOT, run

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(1200)]

FLAGS = (
    *("--no-cuda", "--model", "small", "--batch-size", "4", "--num-workers", "0"),
    *("--tile-size", "32", "--epochs", "1000", "--sidecar", "off", "--run-name", "bare"),
)


def alerts_of(home: Path, kind: str, *, steps: int) -> list[AlertRecord]:
    """Alerts of a run with the fault `kind`."""
    recording = home / "bare.mcap"
    run(
        *("tests.processes.sabotaged_fit", kind, *FLAGS, "--max-steps", str(steps)),
        *("--record", recording, "--output-dir", home),
        cwd=ROOT,
        limit_s=900,
    )
    run("analyzer_service", "replay", recording, "--output-dir", home, cwd=ROOT, limit_s=600)
    with RunReader(home / "auto_analysis_bare") as reader:
        assert reader.state().released >= steps
        alerts = reader.alerts()
    for alert in alerts:
        print(kind, alert)
    return alerts


def test_a_healthy_run_raises_at_most_one_alert(tmp_path: Path) -> None:
    names = [alert.name for alert in alerts_of(tmp_path, "nothing", steps=300)]
    # Whatever else the machine does slows the forward pass with the step: one cause, not two.
    same_cause = {"inference_rising", "step_time_rising"} <= set(names)
    assert len(names) - same_cause <= 1, names


@pytest.mark.parametrize(
    ("kind", "expected", "steps"),
    [
        ("learning_rate", {"loss_stuck", "loss_rise", "not_finite"}, 250),
        ("constant_attention", {"attention_constant"}, 200),
        ("fixed_attention", {"attention_ignores_content"}, 200),
        ("leaking", {"memory_growth"}, 260),
        ("sleeping", {"data_wait"}, 80),
    ],
)
def test_a_sabotaged_run_raises_the_right_one(
    tmp_path: Path, kind: str, expected: set[str], steps: int
) -> None:
    raised = {alert.name for alert in alerts_of(tmp_path, kind, steps=steps)}
    assert raised & expected, raised
