"""The command line: errors in one line, and whole processes over real sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analyzer_service import cli
from analyzer_service.alerts.settings import DEFAULT
from analyzer_service.commit.reader import RunReader
from analyzer_service.settings import check_bind, default_wandb_mode, read_alerts
from analyzer_service.verify.run_folder import verify_folder
from shared import protocol
from shared.errors import ConfigurationError
from shared.transport.addresses import Address, parse_address
from tests.analyzer_service.pipeline.driving import make_said
from tests.analyzer_service.receive.client import Client
from tests.analyzer_service.receive.recorded import items_of, write
from tests.analyzer_service.sinks.runs import write_run
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


def run_in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Exit code and what was said on stderr."""
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    code = exit_.value.code
    return (code if isinstance(code, int) else 0), capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--bind", "5555"], "another form than tcp://HOST:PORT"),
        (["serve", "--bind", "tcp://0.0.0.0:5555"], "--allow-plaintext-network"),
        (["serve", "--bind", "ipc://{tmp}/no/where"], "its folder is not there"),
        (["serve", "--bind", "tcp://0.0.0.0:5555"], "analyzer_service keys DIR) and give --keys"),
        (["serve", "--bind", "tcp://0.0.0.0:5555", "--keys", "{tmp}"], "server.key_secret is not"),
        (["serve", "--keys", "{tmp}/none"], "make a folder of keys with python -m"),
        (["serve", "--max-trainers", "0"], "at least one must be heard"),
        (["serve", "--keep-dashboards", "0"], "give 1 (all of them) or more"),
        (["serve", "--frames-limit", "many"], "give a size such as 500MiB"),
        (["serve", "--record-limit", "1GiB"], "give --record as well"),
        (["serve", "--record", "--record-limit", "1MiB"], "at least 16 MiB are needed"),
        (["serve", "--workers", "0"], "at least one process"),
        (["serve", "--wandb", "maybe"], "choose one of online, offline, disabled"),
        (["serve", "--log-file", "{tmp}/no/log"], "cannot be written"),
        (["serve", "--metrics", "9464"], "--metrics 9464: give HOST:PORT, or off"),
        (["serve", "--metrics", "0.0.0.0:9464"], "--allow-plaintext-metrics"),
        (["serve", "--alerts", "{tmp}/none.toml"], "none.toml cannot be read: No such file"),
        (["replay", "{tmp}/photo.png", "--alerts", "{tmp}/photo.png"], "photo.png is no TOML"),
        (["replay", "{tmp}/none.mcap"], "none.mcap cannot be read: No such file"),
        (["replay", "{tmp}/photo.png"], "not an MCAP recording"),
        (["replay", "{tmp}/photo.png", "--speed", "fast"], "max, realtime, or a number above 0"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_code_2(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG" + bytes(100))
    before = sorted(tmp_path.iterdir())
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    output = ["--output-dir", str(tmp_path / "out")]
    code, error = run_in_process(monkeypatch, capsys, *arguments, *output)
    assert code == 2
    assert said in error
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in error
    assert len(line) < 400
    assert sorted(tmp_path.iterdir()) == before, "something was half-written"


def test_alerts_prints_a_file_that_serve_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", "alerts"])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert not exit_.value.code
    path = tmp_path / "alerts.toml"
    path.write_text(capsys.readouterr().out.replace("ssim_min = 0.8", "ssim_min = 0.9"), "utf-8")
    assert read_alerts(path).ranges.ssim_min == 0.9
    assert read_alerts(None) == DEFAULT


def test_keys_says_what_goes_where_and_never_writes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "keys"
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", "keys", str(folder)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    for part in (f"serve --bind tcp://HOST:PORT --keys {folder}", "copy server.key and client"):
        assert part in said
    secrets = [file.read_text().rpartition('"')[0] for file in folder.glob("*.key_secret")]
    assert len(secrets) == 2
    assert not any(secret.rpartition('"')[2] in said for secret in secrets)
    before = (folder / "server.key_secret").read_bytes()
    code, error = run_in_process(monkeypatch, capsys, "keys", str(folder))
    assert (code, (folder / "server.key_secret").read_bytes()) == (2, before)
    assert "is not empty, and nothing is written over" in error


def test_export_says_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "auto_analysis_demo").close()
    out = tmp_path / "rows.csv"
    run = str(tmp_path / "auto_analysis_demo")
    arguments = ["sidelight-analyzer", "export", run, "--to", "csv", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"{out}: 24 rows\n"
    assert len(out.read_text("utf-8").splitlines()) == 25
    code, error = run_in_process(monkeypatch, capsys, "export", run, "--to", "xlsx")
    assert (code, error) == (2, "error: --to xlsx: choose one of csv, parquet, json\n")


def test_report_is_written_of_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "auto_analysis_demo")
    before = run.store.connection.execute("SELECT count(*) FROM jobs").fetchone()
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", "report", str(run.folder)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    report = run.folder / "final_summary_report.md"
    page = report.with_suffix(".html")
    assert capsys.readouterr().out.splitlines() == [str(report), str(page)]
    assert "has not ended" in page.read_text("utf-8")
    assert "The run **has not ended**" in report.read_text("utf-8")
    assert run.store.connection.execute("SELECT count(*) FROM jobs").fetchone() == before
    run.close()


def test_compare_prints_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    names = ("demo-20261127-172432", "demo-20261127-173754")
    folders = []
    for name in names:
        write_run(tmp_path / name, run_name=name, config={"lr": len(folders)}).close()
        folders.append(str(tmp_path / name))
    out, page = tmp_path / "compared.md", tmp_path / "compared.html"
    arguments = ["sidelight-analyzer", "compare", *folders, "--md", str(out), "--html", str(page)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert "config.lr" in said
    heads = [line for line in said.splitlines() if "over" in line or "−" in line]
    assert any(all(name in line for name in names) for line in heads), "names are not broken"
    assert said.splitlines()[-2:] == [str(page), str(out)]
    assert "config.lr" in page.read_text("utf-8")
    assert out.read_text("utf-8").startswith(f"# Runs compared: {', '.join(names)}")
    code, error = run_in_process(monkeypatch, capsys, "compare", folders[0])
    assert code == 2
    assert "at least two runs" in error


def test_a_network_needs_keys_or_the_flag_that_says_what_it_does(tmp_path: Path) -> None:
    text = "tcp://0.0.0.0:5555"
    with pytest.raises(ConfigurationError, match="open to other machines"):
        check_bind(text, secured=False, allow_plaintext_network=False)
    for secured, plaintext in ((True, False), (False, True)):
        address = check_bind(text, secured=secured, allow_plaintext_network=plaintext)
        assert address.ctl == text
    local = check_bind("tcp://127.0.0.1:5555", secured=False, allow_plaintext_network=False)
    assert local.loopback


def test_a_port_in_use_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        bind = f"tcp://127.0.0.1:{port}"
        output = str(tmp_path / "out")
        code, error = run_in_process(
            monkeypatch, capsys, "serve", "--bind", bind, "--output-dir", output
        )
    assert code == 2
    assert f"cannot listen on {bind}: it is in use" in error
    assert list(tmp_path.iterdir()) == []


def test_a_metrics_port_in_use_is_named_if_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        metrics = f"127.0.0.1:{holder.getsockname()[1]}"
        output = ("--output-dir", str(tmp_path / "out"))
        bind = ("--bind", f"ipc://{tmp_path}/a")
        code, error = run_in_process(
            monkeypatch, capsys, "serve", *bind, "--metrics", metrics, *output
        )
    assert code == 2
    assert f"{metrics} cannot be listened on: it is in use; choose another with --metrics" in error
    assert list(tmp_path.iterdir()) == []


def verify(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: Path
) -> tuple[int, list[str], str]:
    """Exit code, lines on stdout, and stderr."""
    monkeypatch.setattr(sys, "argv", ["sidelight-analyzer", "verify", str(path)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    said = capsys.readouterr()
    code = exit_.value.code
    return (code if isinstance(code, int) else 0), said.out.splitlines(), said.err


def test_verify_says_by_its_exit_code_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "a.mcap", items_of(make_said(epochs=1)))
    code, lines, _ = verify(monkeypatch, capsys, file)
    assert (code, lines[-1]) == (0, "sound")
    torn = tmp_path / "torn.mcap"
    torn.write_bytes(file.read_bytes()[:-100])
    code, lines, _ = verify(monkeypatch, capsys, torn)
    assert code == 1
    assert [line for line in lines if line.startswith("fault: ")]
    for path in (tmp_path / "none", tmp_path):
        code, lines, error = verify(monkeypatch, capsys, path)
        assert (code, lines) == (2, [])
        assert error.startswith("error: ")


@pytest.mark.parametrize("command", ["serve", "replay"])
def test_an_output_folder_that_cannot_be_written_is_named(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("no folder")
    file = write(tmp_path / "a.mcap", items_of(make_said(epochs=1)))
    first = {"serve": ["--bind", f"ipc://{tmp_path}/a"], "replay": [str(file)]}[command]
    output = str(tmp_path / "file" / "out")
    code, error = run_in_process(monkeypatch, capsys, command, *first, "--output-dir", output)
    assert code == 2
    assert f"output folder {output} cannot be written" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mcap", "file"]


@pytest.mark.parametrize(
    ("environment", "netrc", "mode"),
    [
        ({}, None, "offline"),
        ({"WANDB_API_KEY": "k" * 40}, None, "online"),
        ({}, "machine api.wandb.ai login user password secret", "online"),
        ({}, "machine example.org login user password secret", "offline"),
        ({}, "not a netrc file", "offline"),
        (
            {"WANDB_BASE_URL": "https://example.org"},
            "machine example.org login u password s",
            "online",
        ),
        ({"WANDB_API_KEY": "k" * 40, "WANDB_MODE": "offline"}, None, "offline"),
        ({"WANDB_API_KEY": "k" * 40, "WANDB_MODE": "disabled"}, None, "disabled"),
    ],
)
def test_wandb_is_online_only_with_a_key(
    environment: dict[str, str], netrc: str | None, mode: str, tmp_path: Path
) -> None:
    if netrc is not None:
        (tmp_path / ".netrc").write_text(netrc)
        (tmp_path / ".netrc").chmod(0o600)
    assert default_wandb_mode(environment, tmp_path) == mode


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
