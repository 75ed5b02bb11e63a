"""What the ranks of one fit have in common, and what each of them starts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.errors import ConfigurationError
from tests.trainer.capture.builders import (
    Autoencoder,
    RememberingPublisher,
    loader,
    make_trainer,
    sidecar,
)
from trainer.capture.counters import RunCounters
from trainer.capture.options import SidecarOptions
from trainer.capture.starting import FitFacts, describe_run, start_publisher
from trainer.publish.local import LocalAnalyzer
from trainer.publish.publisher import Publisher

OPTIONS = SidecarOptions(attention={"bam_6": "net.2"})
RUN: Any = SimpleNamespace(run_name="one")


class Wire:
    """Gives every rank what rank 0 passed."""

    def __init__(self) -> None:
        self.passed: list[Any] = []
        self.read = 0

    def of_first(self, value: Any) -> Any:
        self.passed.append(value)
        return value

    def of_other(self, _: Any) -> Any:
        self.read += 1
        return self.passed[self.read - 1]

    def facts(self, rank: int, **changes: Any) -> FitFacts:
        meet = self.of_other if rank else self.of_first
        return FitFacts("cpu", rank=rank, world_size=2, from_first=meet, **changes)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What publishers were started with; none is."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(Publisher, "start", lambda _, **how: found.append(how) or "publisher")
    return found


def start_analyzers(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """Names of the log files of analyzers that were started; none is."""
    logs: list[str] = []
    analyzer = SimpleNamespace(endpoint=f"ipc://{folder / 'analyzer'}", exit_code=None)

    def start(_: Path, *, log_file: Path, **__: Any) -> Any:
        logs.append(log_file.name)
        return analyzer

    monkeypatch.setattr(LocalAnalyzer, "start", start)
    return logs


@pytest.mark.parametrize("start", [0, 1_700_000_000])
def test_all_ranks_are_of_the_same_start_of_the_same_run(start: int) -> None:
    wire = Wire()
    runs = [
        describe_run(OPTIONS, RunCounters(incarnation=start), wire.facts(rank), {})
        for rank in range(2)
    ]
    common = [(run.run_id, run.run_name, run.incarnation, run.world_size) for run in runs]
    assert common[0] == common[1]
    assert [run.producer for run in runs] == ["rank0", "rank1"]


def test_rank_zero_alone_starts_an_analyzer_and_all_publish_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[dict[str, Any]]
) -> None:
    home = tmp_path / "private"
    home.mkdir()
    logs = start_analyzers(monkeypatch, home)
    wire = Wire()
    analyzers = [start_publisher(OPTIONS, RUN, wire.facts(rank))[1] for rank in range(2)]
    assert (logs, analyzers[1]) == (["one.analyzer.log"], None)
    assert [how["endpoint"] for how in started] == [f"ipc://{home / 'analyzer'}"] * 2
    assert [how["rank"] for how in started] == [0, 1]
    lives = [how["analyzer_lives"] for how in started]
    assert [each() for each in lives] == [True, True]
    home.rmdir()  # as rank 0 does once it has ended
    assert not lives[1]()


def test_a_rank_of_another_machine_is_not_given_an_analyzer_that_it_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[dict[str, Any]]
) -> None:
    start_analyzers(monkeypatch, tmp_path)
    wire = Wire()
    start_publisher(OPTIONS, RUN, wire.facts(0))
    assert start_publisher(OPTIONS, RUN, wire.facts(1, node=1)) == (None, None)
    assert len(started) == 1


def test_an_analyzer_that_cannot_be_started_ends_every_rank(
    monkeypatch: pytest.MonkeyPatch, started: list[dict[str, Any]]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConfigurationError("no module 'mine'")

    monkeypatch.setattr(LocalAnalyzer, "start", refuse)
    wire = Wire()
    for rank in range(2):
        with pytest.raises(ConfigurationError, match="no module 'mine'"):
            start_publisher(OPTIONS, RUN, wire.facts(rank))
    assert started == []


def test_each_rank_records_to_a_file_of_its_own(
    tmp_path: Path, started: list[dict[str, Any]]
) -> None:
    options = SidecarOptions(attention={}, sidecar="off", record=tmp_path / "all.mcap")
    for rank in range(2):
        start_publisher(options, RUN, Wire().facts(rank))
    assert [how["record"].name for how in started] == ["all.mcap", "all.rank1.mcap"]
    assert [how["endpoint"] for how in started] == [None, None]


def test_only_rank_zero_shows_frames_unless_all_are_to() -> None:
    every = SidecarOptions(attention={}, frames_from="all")
    assert [OPTIONS.offers_frames(rank) for rank in range(3)] == [True, False, False]
    assert [every.offers_frames(rank) for rank in range(3)] == [True, True, True]
    with pytest.raises(ConfigurationError, match="first or all"):
        SidecarOptions(attention={}, frames_from="none")  # type: ignore[arg-type]


@pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*`isinstance.treespec, LeafSpec.` is deprecated"
)
def test_a_rank_without_frames_says_its_numbers_and_hooks_no_layer(
    tmp_path: Path, publishers: list[RememberingPublisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SidecarOptions, "offers_frames", lambda *_: False)
    model = Autoencoder()
    hooks: list[int] = []
    model.net[2].register_forward_pre_hook(
        lambda layer, _: hooks.append(sum(len(part._forward_hooks) for part in layer.modules()))
    )
    make_trainer(tmp_path, sidecar()).fit(model, loader(), loader(8))
    assert set(hooks) == {0}
    batches = publishers[0].batches
    assert [keys.batch_size for keys, _ in batches] == [4] * 5
    assert [capture.nbytes for _, capture in batches] == [0] * 5
    assert all({"loss", "memory_mb"} <= set(capture.scalars()) for _, capture in batches)
