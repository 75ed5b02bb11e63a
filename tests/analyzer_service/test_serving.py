"""`serve` and `replay` as processes of their own, over real sockets."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.verify.run_folder import verify_folder
from shared import protocol
from shared.transport.addresses import Address, parse_address
from tests.analyzer_service.receive.client import Client
from tests.builders import (
    make_batch,
    make_drop,
    make_epoch_ended,
    make_frame,
    make_run_ended,
    make_run_started,
)

DEADLINE_S = 120.0
MODULE = [sys.executable, "-m", "analyzer_service"]


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Address:
    return parse_address(f"ipc://{tmp_path_factory.mktemp('s')}/a")


@contextmanager
def serving(address: Address, output: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A `serve` process; killed if the test leaves it running."""
    bind = address.ctl.removesuffix(".ctl")
    process = subprocess.Popen(
        [*MODULE, "serve", "--bind", bind, "--output-dir", str(output), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "WANDB_MODE": "disabled"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def expect_taken(client: Client) -> None:
    """Wait until the analyzer works at a frame, or has it."""
    while not client.delivered:
        answer = client.expect((protocol.Credit, protocol.Heartbeat))
        if isinstance(answer, protocol.Heartbeat) and answer.frames_waiting:
            return


def send_run(client: Client) -> None:
    """Five batches, two of them drawn, one frame dropped; then the end."""
    client.greet()
    records = [
        client.started,
        *(make_batch(step) for step in range(1, 5)),
        make_drop(3),
        make_batch(1, phase="val"),
        make_epoch_ended(0),
        make_run_ended(),
    ]
    last = client.records(records)
    for step in (1, 2, 4):
        client.frame(make_frame(step))
    client.frame(make_frame(1, phase="val"))
    client.say(protocol.Fin(last_cseq=last))
    deadline = time.monotonic() + DEADLINE_S
    while not client.heard(protocol.FinAck):
        assert time.monotonic() < deadline
        client.say(protocol.Heartbeat())
        client.listen(0.5)


def result_files(folder: Path) -> dict[str, bytes]:
    paths = (p for p in folder.rglob("*") if p.suffix in (".png", ".json"))
    return {path.name: path.read_bytes() for path in paths}


def stderr_of(process: "subprocess.Popen[str]") -> str:
    _, error = process.communicate(timeout=DEADLINE_S)
    return error


@pytest.mark.process
def test_a_recorded_run_and_its_replay_are_equal_byte_for_byte(
    address: Address, tmp_path: Path
) -> None:
    started = make_run_started(analysis_freq=4)
    with (
        serving(address, tmp_path / "live", "--once", "--record", "--workers", "2") as process,
        Client(address, started) as client,
    ):
        send_run(client)
        said = stderr_of(process)
    assert process.returncode == 0, said
    books = "offered 4 = delivered 3 + dropped 1 (1 queue_full) + pending 0"
    assert f"demo: rank0/train: {books}" in said
    assert "demo: rank0 records: committed 9, missing 0" in said
    assert "demo: finished, 5 batches" in said
    live = tmp_path / "live/auto_analysis_demo"
    again = subprocess.run(
        [*MODULE, "replay", str(live / "stream.mcap"), "--output-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    replayed = tmp_path / "auto_analysis_demo"
    assert [json.loads(line)["message"] for line in again.stdout.splitlines()] == [
        f"Run folder  {replayed}",
        f"Report      {replayed / 'final_summary_report.md'}",
        f"With plots  {replayed / 'final_summary_report.html'}",
    ]
    assert result_files(replayed) == result_files(live)
    assert sorted(result_files(live)) == [
        "epoch_0_metrics.json",
        "final_training_metrics.json",
        "train_batch_000004.png",
        "val_batch_000001.png",
    ]


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_the_run_can_go_on(
    number: signal.Signals, address: Address, tmp_path: Path
) -> None:
    started = make_run_started(analysis_freq=100)
    with Client(address, started) as client:
        with serving(address, tmp_path) as process:
            client.greet()
            client.records([started, make_batch(1)])
            client.frame(make_frame(1))
            client.expect_ack(2)
            expect_taken(client)
            process.send_signal(number)
            said = stderr_of(process)
        assert process.returncode == 0, said
        assert "Traceback" not in said
        assert not list(Path(address.ctl.removeprefix("ipc://")).parent.iterdir())
        with RunReader(tmp_path / "auto_analysis_demo") as reader:
            assert reader.state().status == "running"
            assert reader.state().released == 1, "the frame that came was analyzed and kept"
        with serving(address, tmp_path, "--once") as process:
            client.record(3, make_run_ended())
            client.expect(protocol.Reset)
            assert client.greet().committed_cseq == 2
            client.record(3, make_run_ended())
            client.say(protocol.Fin(last_cseq=3))
            client.expect(protocol.FinAck)
            assert "demo: finished" in stderr_of(process)


@pytest.mark.process
def test_a_signal_at_the_end_of_a_run_leaves_time_for_its_files(
    address: Address, tmp_path: Path
) -> None:
    # Four batches make a dashboard due, which takes a worker seconds.
    with (
        serving(address, tmp_path, "--workers", "1") as process,
        Client(address, make_run_started(analysis_freq=4)) as client,
    ):
        send_run(client)
        client.expect_delivered([*(("train", fseq) for fseq in (1, 2, 4)), ("val", 1)])
        process.send_signal(signal.SIGTERM)
        said = stderr_of(process)
    assert process.returncode == 0, said
    folder = tmp_path / "auto_analysis_demo"
    assert verify_folder(folder).faults == []
    assert (folder / "final_summary_report.md").exists()


@pytest.mark.process
def test_a_local_analyzer_outlives_its_trainer_only_to_report(
    address: Address, tmp_path: Path
) -> None:
    # The "trainer" is a process that starts the analyzer, tells its number and is killed.
    script = (
        "import subprocess, sys, time, os\n"
        "analyzer = subprocess.Popen([*sys.argv[1:], '--parent-pid', str(os.getpid())])\n"
        "print(analyzer.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    bind = address.ctl.removesuffix(".ctl")
    serve = [*MODULE, "serve", "--once", "--bind", bind, "--output-dir", str(tmp_path)]
    serve += ["--wandb", "disabled", "--log-file", str(tmp_path / "log")]
    started = make_run_started()
    trainer = subprocess.Popen(
        [sys.executable, "-c", script, *serve], stdout=subprocess.PIPE, text=True
    )
    assert trainer.stdout is not None
    analyzer = int(trainer.stdout.readline())
    try:
        with Client(address, started) as client:
            client.greet()
            client.records([started, make_batch(1)])
            client.frame(make_frame(1))
            client.expect_ack(2)
            expect_taken(client)
            trainer.kill()
            trainer.wait()
            wait_for_end(analyzer)
    finally:
        trainer.kill()
        trainer.communicate()
        if is_running(analyzer):
            os.kill(analyzer, signal.SIGKILL)
    folder = tmp_path / "auto_analysis_demo"
    with RunReader(folder) as reader:
        assert reader.state().status == "failed"
        assert reader.books()["rank0/train"].delivered == 1
    assert (folder / "final_summary_report.md").exists()
    assert "is gone" in (tmp_path / "log").read_text()


def is_running(pid: int) -> bool:
    """Whether process `pid` runs; a zombie that nobody has waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while is_running(pid):
        assert time.monotonic() < deadline, "it did not end by itself"
        time.sleep(0.05)
