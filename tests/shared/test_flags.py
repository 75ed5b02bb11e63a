"""Flag, environment, file, default: each of them goes before the next."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from analyzer_service.cli import app as analyzer_app
from shared.errors import ConfigurationError
from shared.flags import COMMANDS, PREFIX, Config, read_file, strange_variables
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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('workers = "many"', r"\[serve\] workers = 'many': .*integer"),
        ("workers = 2.5", r"workers = 2\.5: .*integer"),
        ("workers = true", "workers = True: give text in quotes, or a number"),
        ("workers = [2]", r"workers = \[2\]: give one value"),
        ('record = "yes"', "record = 'yes': give true or false"),
        ("output-dir = {a = 1}", "output-dir = .*: give text in quotes, or a number"),
        ("workers = 2\nWorkers = 2", "has no flag 'Workers': did you mean 'workers'"),
        ('output-dir = "a"\noutput_dir = "b"', "says 'output_dir' twice"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_file(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "flags.toml"
    path.write_text(f"[serve]\n{line}\n")
    with pytest.raises(ConfigurationError, match=message) as found:
        ask("--config", str(path))
    assert str(path) in str(found.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[serve]\nworkers = \n"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "flags.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"flags\.toml is no TOML file"):
        read_file(path)
    with pytest.raises(ConfigurationError, match="Is a directory"):
        read_file(tmp_path)


def test_a_variable_that_cannot_be_is_named() -> None:
    done = CliRunner().invoke(app, ["serve"], env={"SIDELIGHT_SERVE_WORKERS": "many"})
    assert done.exit_code == 2
    assert "env var: 'SIDELIGHT_SERVE_WORKERS'" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SIDELIGHT_SERVE_WOKERS", ": did you mean SIDELIGHT_SERVE_WORKERS?"),
        ("SIDELIGHT_SEVRE_RECORD", ": did you mean SIDELIGHT_SERVE_RECORD?"),
        ("SIDELIGHT_CONFG", ": did you mean SIDELIGHT_CONFIG?"),
        ("SIDELIGHT_SERVE_NONSENSE", "; --help lists the flags"),
    ],
)
def test_a_variable_that_nobody_reads_is_told_with_the_nearest_one(name: str, meant: str) -> None:
    environment = {name: "1", "SIDELIGHT_SERVE_WORKERS": "2", "SIDELIGHT_TRAINER_SEED": "1"}
    context = typer.Context(get_command(app).commands["serve"], info_name="serve")  # type: ignore[attr-defined]
    said = strange_variables(context, environment)
    assert said == {name: f"the environment variable {name} names no flag{meant}"}


class Commands:
    """Every command of both programs, run without doing anything but reading its flags."""

    def __init__(self) -> None:
        roots: dict[str, Any] = {"analyzer": get_command(analyzer_app)}
        self.trainer: Any = get_command(trainer_app)
        self.root = roots["analyzer"]
        self.by_name: dict[str, Any] = {"trainer": self.trainer, **self.root.commands}

    def read(self, name: str, arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
        """What the function of a command would be given."""
        command = self.by_name[name]
        given: dict[str, Any] = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "callback", lambda **values: given.update(values))
            for key, value in environment.items():
                patch.setenv(key, value)
            of_root = command is not self.trainer
            program = self.root if of_root else command
            # As `main` runs it: a command finds its variables by its own name.
            program.main([name] * of_root + arguments, name, standalone_mode=False)
        return given


COMMANDS_READ = Commands()


def options_of(name: str) -> list[Any]:
    return [
        param
        for param in COMMANDS_READ.by_name[name].params
        if param.param_type_name == "option"
        and not param.hidden
        and param.name not in ("help", "config")
    ]


def needed(name: str, but: str) -> list[str]:
    """Arguments and flags that a command cannot do without, but for the one that is tried."""
    words: list[str] = []
    for param in COMMANDS_READ.by_name[name].params:
        if param.param_type_name == "argument":
            words.append("RUN")
        elif param.required and param.name != but:
            words += [param.opts[0], "needed"]
    return words


FLAGS = [(name, param.name) for name in COMMANDS_READ.by_name for param in options_of(name)]


def test_every_command_with_flags_has_a_table() -> None:
    assert {name for name, _ in FLAGS} == set(COMMANDS)
    assert len(FLAGS) > 80


@dataclasses.dataclass
class Source:
    """One value for a flag from each of the three places, and what the command makes of it."""

    value: Any
    words: list[str]
    variable: str
    toml: str


def sources(param: Any, default: Any) -> list[Source]:
    """Three values that differ from each other where the flag's kind allows it."""
    flag = param.opts[0]
    if param.is_flag:
        off = param.secondary_opts
        words = {True: [flag], False: off[:1]}
        return [
            Source(value, words[value], str(int(value)), str(value).lower())
            for value in (not default, default, not default)
        ]
    if param.multiple or param.nargs != 1:
        count = 2 if param.multiple else param.nargs
        lists = [[f"{letter}{i}" for i in range(count)] for letter in "abc"]
        return [
            Source(
                each,
                [w for e in each for w in (flag, e)] if param.multiple else [flag, *each],
                " ".join(each),
                str(each),
            )
            for each in lists
        ]
    return [Source(text, [flag, text], text, f'"{text}"') for text in ("11", "12", "13")]


def plain(value: Any) -> Any:
    """A value by what was written for it."""
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    if isinstance(value, bool) or value is None:
        return value
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize(("name", "flag"), FLAGS)
def test_of_every_flag_each_source_goes_before_the_next(
    tmp_path: Path, name: str, flag: str
) -> None:
    (param,) = [each for each in options_of(name) if each.name == flag]
    by_flag, by_variable, by_file = sources(param, param.default)
    file = tmp_path / "flags.toml"
    file.write_text(f"[{name}]\n{param.opts[0].removeprefix('--')} = {by_file.toml}\n")
    rest = needed(name, but=flag)
    variable = f"SIDELIGHT_{name.upper()}_{flag.upper()}"
    config = ["--config", str(file)]

    def read(*words: str, **environment: str) -> Any:
        return plain(COMMANDS_READ.read(name, [*words, *rest], environment)[flag])

    if not param.required:
        assert read() in (plain(param.default), [])  # a list that nothing is in
    assert read(*config) == by_file.value
    assert read(SIDELIGHT_CONFIG=str(file)) == by_file.value
    assert read(*config, **{variable: by_variable.variable}) == by_variable.value
    found = read(*config, *by_flag.words, **{variable: by_variable.variable})
    assert found == (by_flag.value if by_flag.words else by_variable.value)


SWITCHES = [
    (name, param.name)
    for name, flag in FLAGS
    for param in options_of(name)
    if param.name == flag and param.is_flag and param.secondary_opts
]


@pytest.mark.parametrize(("name", "flag"), SWITCHES)
def test_a_switch_may_be_negated_everywhere(tmp_path: Path, name: str, flag: str) -> None:
    (param,) = [each for each in options_of(name) if each.name == flag]
    off = param.secondary_opts[0]
    file = tmp_path / "flags.toml"
    file.write_text(f"[{name}]\n{off.removeprefix('--')} = true\n")
    config = ["--config", str(file), *needed(name, but=flag)]
    variable = f"SIDELIGHT_{name.upper()}_{flag.upper()}"
    assert COMMANDS_READ.read(name, config, {})[flag] is False
    assert COMMANDS_READ.read(name, config, {variable: "true"})[flag] is True
    assert COMMANDS_READ.read(name, [off, *config], {variable: "true"})[flag] is False
