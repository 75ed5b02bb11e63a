"""Something else listens where the trainer expects its analyzer: training goes on."""

import shlex

import pytest

from analyzer_service.commit.reader import RunReader
from tests.processes.commands import TINY, run
from tests.processes.impostors import IMPOSTORS, liar
from tests.processes.scene import Scene

pytestmark = pytest.mark.process
long = pytest.mark.long

BATCHES = 300
GROWN_MIB = 16
STEPS = 12


@pytest.mark.parametrize(
    "kind", ["liar", *(pytest.param(each, marks=long) for each in IMPOSTORS if each != "liar")]
)
def test_a_run_is_recorded_whoever_answers(scene: Scene, kind: str) -> None:
    with IMPOSTORS[kind](port_of(scene)):
        publisher = scene.publisher(batches=BATCHES, step_s=0.01, close_timeout=5)
        outcome = scene.outcome(publisher)
    said = scene.log_of(publisher).read_text()
    assert len(said.splitlines()) <= 2, said
    assert not outcome["complete"]
    assert outcome["records_lost"] == 0
    assert outcome["refusal"] is None
    assert outcome["close_s"] < 6
    assert outcome["memory"]["grown_mib"] < GROWN_MIB
    scene.replay(outcome["journal"])
    found = scene.audit()
    found.expect_once(BATCHES)
    found.expect_no_gap()
    assert found.frame_count == (BATCHES, BATCHES, 0)
    assert found.status == "finished"


@long
def test_the_trainer_prints_the_command_that_replays_what_a_liar_never_took(scene: Scene) -> None:
    with liar(port_of(scene)):
        done = run(
            *("trainer", *TINY, "--max-steps", str(STEPS), "--run-name", "bare"),
            *("--sidecar", scene.endpoint, "--output-dir", "runs"),
            cwd=scene.home,
        )
    (printed,) = [line for line in done.stderr.splitlines() if "this reads the rest" in line]
    command = shlex.split(printed.partition("this reads the rest: ")[2])
    assert command[1:4] == ["-m", "analyzer_service", "replay"]
    run(*command[2:], cwd=scene.home)
    with RunReader(scene.home / "auto_analysis_bare") as reader:
        steps = [row.values["global_step"] for row in reader.rows(phase="train")]
        assert steps == list(range(1, STEPS + 1))
        assert reader.state().status == "finished"


def port_of(scene: Scene) -> int:
    return int(scene.endpoint.rpartition(":")[2])
