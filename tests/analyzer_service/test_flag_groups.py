"""Flags in groups: a command line with them is the one that lists each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from analyzer_service.flag_groups import AnalysisFlags, WhereFlags, spread
from analyzer_service.receive.replaying import ReplaySettings
from analyzer_service.settings import default_workers
from shared.errors import ConfigurationError

Bold = Annotated[bool, typer.Option("--bold", help="Louder.")]


@dataclass(frozen=True)
class Voice:
    count: Annotated[int, typer.Option(help="How often.")] = 2
    bold: Bold = False


@spread
def grouped(*, first: str = "a", voice: Voice, last: str = "z") -> None:
    """Say it."""
    typer.echo(f"{first} {voice} {last}")


def listed(
    first: str = "a",
    count: Annotated[int, typer.Option(help="How often.")] = 2,
    bold: Bold = False,
    last: str = "z",
) -> None:
    """Say it."""
    typer.echo(f"{first} {Voice(count, bold)} {last}")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--help"], ["--last", "y", "--bold", "--count", "3"], ["--count", "x"], ["--loud"]],
    ids=" ".join,
)
def test_a_group_stands_for_its_flags(arguments: list[str]) -> None:
    answers = []
    for command in (grouped, listed):
        app = typer.Typer(add_completion=False)
        app.command(name="say")(command)
        answers.append(CliRunner().invoke(app, arguments))
    assert answers[0].output == answers[1].output != ""
    assert answers[0].exit_code == answers[1].exit_code


def test_what_is_not_given_comes_to_the_defaults() -> None:
    found = ReplaySettings(
        output_dir=Path(), **WhereFlags().settings(), **AnalysisFlags().settings()
    )
    assert found == ReplaySettings(output_dir=Path(), workers=default_workers())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (WhereFlags(workers=0), "--workers 0"),
        (WhereFlags(cluster="tcp://192.0.2.1:8786"), "--allow-plaintext-cluster"),
        (AnalysisFlags(stain_vectors="blue"), "--stain-vectors blue"),
        (AnalysisFlags(keep_dashboards=0), "--keep-dashboards 0"),
        (AnalysisFlags(frames_limit="much"), "--frames-limit much"),
    ],
)
def test_what_cannot_be_is_said_by_its_flag(flags: WhereFlags | AnalysisFlags, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        flags.settings()
