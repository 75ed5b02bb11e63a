"""Two commands that need each other's keys, as a user starts them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader
from tests.processes.commands import TINY, run, start
from tests.processes.publishing import describe, publish
from tests.shared.transport.ports import free_port
from trainer.publish import Publisher, PublishSettings

pytestmark = pytest.mark.process

DEADLINE_S = 60.0
STEPS = 4


@contextmanager
def serving(home: Path, *flags: str) -> Iterator[str]:
    """Address of an analyzer with the keys in ``keys``; ended, at the latest, afterwards."""
    run("analyzer_service", "keys", "keys", cwd=home)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    log = home / "analyzer.log"
    process = start(
        *("analyzer_service", "serve", "--bind", endpoint, "--keys", "keys"),
        *("--wandb", "disabled", *flags),
        cwd=home,
        log=log,
    )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while "encrypted, 1 authorized keys" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield endpoint
        if "--once" in flags:
            assert process.wait(DEADLINE_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def test_a_trainer_with_its_keys_is_heard(tmp_path: Path) -> None:
    with serving(tmp_path, "--once") as endpoint:
        done = run(
            *("trainer", *TINY, "--max-steps", str(STEPS), "--run-name", "tiny"),
            *("--sidecar", endpoint, "--keys", "keys"),
            cwd=tmp_path,
        )
    assert "nobody answers" not in done.stderr
    with RunReader(tmp_path / "auto_analysis_tiny") as reader:
        assert reader.state().status == "finished"
        steps = [row.values["global_step"] for row in reader.rows(phase="train")]
        assert "keys" not in reader.started().config
    assert steps == list(range(1, STEPS + 1))


def test_a_trainer_with_the_wrong_keys_trains_on_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run("analyzer_service", "keys", "others", cwd=tmp_path)
    with serving(tmp_path) as endpoint:
        (tmp_path / "others" / "server.key").write_bytes(
            (tmp_path / "keys" / "server.key").read_bytes()
        )
        publisher = Publisher.start(
            describe("wrong"),
            endpoint=endpoint,
            keys=tmp_path / "others",
            settings=PublishSettings(journal_dir=tmp_path),
        )
        publish(publisher, 1)
        deadline = time.monotonic() + DEADLINE_S
        while not (said := [r for r in caplog.records if "nobody answers" in r.getMessage()]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        publish(publisher, 2)
        began = time.monotonic()
        outcome = publisher.close()
    assert time.monotonic() - began < 12, "10 s is what closing waits for at most"
    assert f"nobody answers at {endpoint}" in said[0].getMessage()
    assert "authorized must hold the client.key" in said[0].getMessage()
    assert not outcome.complete
    assert outcome.records_lost == 0
    assert outcome.journal is not None
    run("analyzer_service", "replay", outcome.journal, "--output-dir", "out", cwd=tmp_path)
    with RunReader(tmp_path / "out" / "auto_analysis_wrong") as reader:
        assert [row.values["loss"] for row in reader.rows()] == [1.0, 2.0]
    assert (tmp_path / "analyzer.log").read_text().count("is not authorized") == 1
