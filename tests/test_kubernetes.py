"""The Kubernetes example against the schemas of Kubernetes itself, which a package brings along."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from analyzer_service.cli import app as analyzer_app
from trainer.cli import app as trainer_app

ROOT = Path(__file__).parents[1]
OBJECTS = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/sidecar.yaml").read_text()))
(JOB,) = [each for each in OBJECTS if each["kind"] == "Job"]
POD: dict[str, Any] = JOB["spec"]["template"]["spec"]
OLDEST = "1.29"


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("index", range(len(OBJECTS)))
def test_it_is_what_kubernetes_takes(index: int, version: str) -> None:
    kubernetes_validate.validate(OBJECTS[index], version, strict=True)


def test_a_mistake_would_be_seen() -> None:
    wrong = yaml.safe_load(yaml.safe_dump(JOB))
    wrong["spec"]["template"]["spec"]["contianers"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, OLDEST, strict=True)


def test_commands_are_understood() -> None:
    analyzer: Any = get_command(analyzer_app)
    for sidecar in POD["initContainers"]:
        assert sidecar["restartPolicy"] == "Always"
        name, *flags = sidecar["args"]
        assert analyzer.commands[name].make_context(name, list(flags)).params
    trainer: Any = get_command(trainer_app)
    (container,) = POD["containers"]
    assert trainer.make_context("trainer", list(container["args"])).params["sidecar"]


def path_of(probe: dict[str, Any]) -> str:
    if "httpGet" in probe:
        return str(probe["httpGet"]["path"])
    *program, url = probe["exec"]["command"]
    assert program == ["python", "-m", "analyzer_service.metrics.probe"]
    return urlsplit(url).path


def test_a_restart_is_for_what_it_helps_alone() -> None:
    for sidecar in POD["initContainers"]:
        assert path_of(sidecar["startupProbe"]) == "/readyz"
        assert path_of(sidecar["readinessProbe"]) == "/readyz"
        assert path_of(sidecar["livenessProbe"]) == "/healthz"


def test_all_are_through_before_they_are_killed() -> None:
    """The pod has one grace period, in which the trainer ends first, then its sidecars."""
    commands = [each["args"] for each in (*POD["initContainers"], *POD["containers"])]
    graces = [
        float(flag.partition("=")[2])
        for command in commands
        for flag in command
        if flag.startswith("--grace=")
    ]
    assert len(graces) == 2
    assert sum(graces) <= POD["terminationGracePeriodSeconds"] - 10


def test_nothing_runs_as_root_or_may_become_it() -> None:
    assert POD["securityContext"]["runAsNonRoot"] is True
    for container in (*POD["initContainers"], *POD["containers"]):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
