"""The code blocks of docs/your-own-model.md run as they stand there, and record what they say."""

import re
from pathlib import Path

import pytest

from shared.codec import decode_payload
from shared.messages import BatchFrame, BatchMetrics, EpochEnded, Message, RunEnded, RunStarted
from shared.recording import RecordingReader

PAGE = Path(__file__).parents[3] / "docs" / "your-own-model.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def run_block(number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    monkeypatch.chdir(folder)
    exec(compile(BLOCKS[number], f"{PAGE.name}, block {number}", "exec"), {"__name__": "example"})
    (recording,) = folder.glob("*.mcap")
    reader = RecordingReader(recording)
    messages = [decode_payload(item.payload) for item in reader]
    assert not reader.losses
    return messages


@pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*`isinstance.treespec, LeafSpec.` is deprecated",
    "ignore:The number of training batches",
    "ignore:GPU available but not used",
)
def test_the_lightning_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = run_block(0, tmp_path, monkeypatch)
    assert isinstance(messages[0], RunStarted)
    assert [layer.name for layer in messages[0].layers] == ["gate", "encoder"]
    frames = [message for message in messages if isinstance(message, BatchFrame)]
    # Two epochs of four training and four validation batches.
    assert sorted((f.phase, f.phase_step) for f in frames) == [
        *(("train", i) for i in range(1, 9)),
        *(("val", i) for i in range(1, 9)),
    ]
    for frame in frames:
        assert frame.input.shape == frame.reconstruction.shape == (4, 64, 64, 3)
        assert frame.attention["gate"].shape == frame.activation["encoder"].shape == (4, 64, 64)
        assert 0 < frame.attention["gate"].min() < frame.attention["gate"].max() < 1
    metrics = [message for message in messages if isinstance(message, BatchMetrics)]
    assert len(metrics) == 16
    assert all(row.loss is not None and row.frame is not None for row in metrics)
    assert sum(isinstance(message, EpochEnded) for message in messages) == 2
    (ended,) = [message for message in messages if isinstance(message, RunEnded)]
    assert ended.status == "finished"
    assert ended.totals["train"].offered == ended.totals["val"].offered == 8


def test_the_bare_loop_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = run_block(1, tmp_path, monkeypatch)
    frames = [message for message in messages if isinstance(message, BatchFrame)]
    assert [frame.global_step for frame in frames] == list(range(1, 9))
    assert all(frame.attention["gate"].shape == (4, 64, 64) for frame in frames)
    metrics = [message for message in messages if isinstance(message, BatchMetrics)]
    assert [row.scalars["learning_rate"] for row in metrics] == 8 * [1e-3]
    assert isinstance(messages[-1], RunEnded | BatchFrame)


def test_the_page_has_the_two_examples() -> None:
    assert len(BLOCKS) == 2
