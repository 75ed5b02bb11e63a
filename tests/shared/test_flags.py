"""Flag, environment, file, default: each of them goes before the next."""

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from analyzer_service.cli import app as analyzer_app
from shared.errors import ConfigurationError
from shared.flags import PREFIX, Config, read_file
from trainer.cli import app as trainer_app

seen: dict[str, Any] = {}
app = typer.Typer(context_settings={"auto_envvar_prefix": PREFIX}, pretty_exceptions_enable=False)


@app.command()
def serve(
    workers: int = 1,
    record: Annotated[bool, typer.Option("--record")] = False,
    output_dir: Path = Path("default"),
    config: Config = None,
) -> None:
    seen.update(workers=workers, record=record, output_dir=output_dir, config=config)


@app.command()
def other() -> None: ...


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.toml"
    path.write_text(
        '[serve]\nworkers = 2\nrecord = true\noutput-dir = "file"\n[trainer]\nseed = 1\n'
    )
    return path


def ask(*arguments: str, **environment: str) -> dict[str, Any]:
    seen.clear()
    done = CliRunner().invoke(app, ["serve", *arguments], env=environment, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return dict(seen)


def test_each_source_goes_before_the_next(file: Path) -> None:
    given = ("--config", str(file))
    assert ask()["workers"] == 1
    assert ask(*given)["workers"] == 2
    assert ask(*given, SIDELIGHT_SERVE_WORKERS="3")["workers"] == 3
    assert ask(*given, "--workers", "4", SIDELIGHT_SERVE_WORKERS="3")["workers"] == 4


def test_the_file_may_be_named_by_the_environment(file: Path) -> None:
    found = ask(SIDELIGHT_CONFIG=str(file))
    assert found == {"workers": 2, "record": True, "output_dir": Path("file"), "config": file}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[serve]\nworker = 2\n", r"\[serve\] has no flag 'worker': did you mean 'workers'\?"),
        ("[sevre]\n", "'sevre' is no command"),
        ("workers = 2\n", "'workers' is no command"),
        ("[serve\n", "is no TOML file"),
    ],
)
def test_what_cannot_be_meant_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "flags.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        ask("--config", str(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: No such file"):
        read_file(tmp_path / "none.toml")


def flags_of(app: typer.Typer, command: str | None) -> list[Any]:
    found: Any = get_command(app)
    if command is not None:
        found = found.commands[command]
    return [
        param
        for param in found.params
        if param.param_type_name == "option" and not param.hidden and param.name != "help"
    ]


@pytest.mark.parametrize(
    ("app", "command"),
    [(trainer_app, None), *((analyzer_app, name) for name in ("serve", "replay", "page"))],
)
def test_every_flag_has_a_variable(app: typer.Typer, command: str | None) -> None:
    found = flags_of(app, command)
    assert len(found) > 2
    root: Any = get_command(app)
    prefix = root.context_settings["auto_envvar_prefix"]
    assert prefix == (PREFIX if command else f"{PREFIX}_TRAINER")
    assert all(param.envvar or param.allow_from_autoenv for param in found)
