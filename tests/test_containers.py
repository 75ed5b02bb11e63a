"""The compose files: what they say must fit the commands and the images."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from analyzer_service.cli import app as analyzer_app
from trainer.cli import app as trainer_app

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
GPU = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("service", ["analyzer", "page"])
def test_commands_of_the_analyzer_are_understood(service: str) -> None:
    command: Any = get_command(analyzer_app)
    name, *flags = SERVICES[service]["command"]
    context = command.commands[name].make_context(name, list(flags))
    assert context.params


@pytest.mark.parametrize("compose", [COMPOSE, GPU])
def test_commands_of_the_trainer_are_understood(compose: dict[str, Any]) -> None:
    command: Any = get_command(trainer_app)
    context = command.make_context("trainer", list(compose["services"]["trainer"]["command"]))
    assert context.params["sidecar"] == "tcp://analyzer:5555"


def test_every_target_is_an_image_of_the_dockerfile() -> None:
    targets = {service["build"]["target"] for service in SERVICES.values()}
    assert targets == {"analyzer", "page", "trainer"}
    stages = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert targets <= set(stages)


def test_only_who_prepares_is_root() -> None:
    for name, service in SERVICES.items():
        assert (service["user"] == "root") == (name == "prepare")
    assert SERVICES["prepare"]["network_mode"] == "none"
    assert DOCKERFILE.count("\nUSER 1000:1000\n") == 3


def test_nothing_ends_before_the_trainer_does() -> None:
    # `up --exit-code-from trainer` stops everything once any container has ended.
    assert "exec setpriv" in (ROOT / "deploy" / "prepare.sh").read_text().splitlines()[-1]
    conditions = [
        condition["condition"]
        for service in SERVICES.values()
        for condition in service.get("depends_on", {}).values()
    ]
    assert len(conditions) == 3
    assert set(conditions) == {"service_healthy"}


def test_only_the_trainers_image_has_torch() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    with_torch = [stage for stage in stages if re.search(r"TORCH|\[trainer", stage)]
    assert len(with_torch) == 1
    assert with_torch[0].splitlines()[0].endswith("AS trainer")


@pytest.mark.parametrize("name", ["analyzer", "page"])
def test_who_serves_is_watched_and_given_time_to_end(name: str) -> None:
    service = SERVICES[name]
    *probe, url = service["healthcheck"]["test"]
    assert probe == ["CMD", "python", "-m", "analyzer_service.metrics.probe"]
    port = {"analyzer": 9464, "page": 8080}[name]
    assert url == f"http://127.0.0.1:{port}/readyz"
    assert service["init"] is True
    assert int(service["stop_grace_period"].removesuffix("s")) >= 10


@pytest.mark.parametrize("name", ["analyzer", "page"])
def test_training_goes_first_where_processors_are_short(name: str) -> None:
    assert SERVICES[name]["cpu_shares"] < 1024  # the weight of a service that says nothing
    assert "cpu_shares" not in SERVICES["trainer"]


def test_variables_that_the_host_does_not_have_are_not_passed_on_empty() -> None:
    for name in ("analyzer", "page"):
        for variable, value in SERVICES[name]["environment"].items():
            assert value is None, f"{variable} would be there without a value"


@pytest.mark.parametrize("compose", [COMPOSE, GPU])
@pytest.mark.parametrize("name", ["analyzer", "trainer"])
def test_who_drains_is_through_before_it_is_killed(compose: dict[str, Any], name: str) -> None:
    command = compose["services"].get(name, SERVICES[name])["command"]
    (grace_s,) = (flag.partition("=")[2] for flag in command if flag.startswith("--grace="))
    longest_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert longest_s - 10 <= float(grace_s) <= longest_s - 5


def test_ports_are_open_to_this_machine_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)
