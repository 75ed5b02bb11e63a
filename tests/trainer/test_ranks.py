"""What further ranks are told, and where they write."""

import os

import pytest
import pytorch_lightning as pl

from shared.errors import ConfigurationError
from tests.trainer.test_fit import make_settings
from trainer.fit import ranks_here
from trainer.plan import make_plan
from trainer.ranks import VARIABLE, Chosen, chosen_by_first, telling_the_others, this_rank
from trainer.settings import flags_to_go_on, read_settings

CHOSEN = Chosen(run_name="20260101-000000", batch_size=16)


@pytest.fixture
def second(monkeypatch):
    """This process is rank 1."""
    monkeypatch.setenv("LOCAL_RANK", "1")


def test_a_further_rank_hears_what_the_first_one_chose(monkeypatch):
    with telling_the_others(CHOSEN, 2):
        told = os.environ[VARIABLE]
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv(VARIABLE, told)
    assert (this_rank(), chosen_by_first(2)) == (1, CHOSEN)


def test_rank_zero_hears_nothing_and_leaves_nothing_behind(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with telling_the_others(CHOSEN, 2):
        os.environ["LOCAL_RANK"] = "0"  # as Lightning does
        assert chosen_by_first(2) is None
    assert VARIABLE not in os.environ
    assert "LOCAL_RANK" not in os.environ


def test_one_device_tells_nobody():
    with telling_the_others(CHOSEN, 1):
        assert VARIABLE not in os.environ


@pytest.mark.parametrize("told", [None, "{}", "no JSON"])
def test_a_rank_that_no_first_one_started_is_refused(second, monkeypatch, told):
    if told is not None:
        monkeypatch.setenv(VARIABLE, told)
    with pytest.raises(ConfigurationError, match="--devices N"):
        chosen_by_first(2)


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4"},
        {"SLURM_PROCID": "3"},
        {"RANK": "0", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "none"},
        {"LOCAL_RANK": "0"},
    ],
    ids=["srun -n 4, the first", "srun -n 4, another", "torchrun", "left behind"],
)
def test_a_launcher_that_starts_several_is_refused_at_once_by_the_first_too(
    monkeypatch, environment
):
    """Else each would take itself for rank 0, or wait for others that never come."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"start it once, with --devices N"):
        chosen_by_first(4)


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "0"},
        {"WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "none"},
    ],
    ids=["srun -n 1", "a batch script", "torchrun of one"],
)
def test_one_process_of_a_launcher_is_the_first_rank(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert chosen_by_first(4) is None


def test_a_further_rank_under_a_scheduler_hears_the_first_one(second, monkeypatch):
    monkeypatch.setenv(VARIABLE, CHOSEN.model_dump_json())
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert chosen_by_first(4) == CHOSEN


def test_the_ranks_are_started_here_on_a_cluster_too(monkeypatch):
    """Lightning would take a job of one task for one whose ranks the scheduler has started."""
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    trainer = pl.Trainer(**ranks_here(2), accelerator="cpu", logger=False)
    assert trainer.strategy.cluster_environment.creates_processes_externally is False
    assert trainer.world_size == 2
    assert ranks_here(1) == {"devices": 1, "strategy": "auto"}


def test_a_further_rank_takes_the_run_that_the_first_one_has_begun(tmp_path):
    settings = make_settings(tmp_path, run_name=None, sidecar="local", devices=2)
    (tmp_path / f"auto_analysis_{CHOSEN.run_name}").mkdir()
    plan = make_plan(settings, CHOSEN)
    assert plan.run_name == CHOSEN.run_name
    with pytest.raises(ConfigurationError, match="already exists"):
        make_plan(settings.model_copy(update={"run_name": CHOSEN.run_name}))


def test_a_recording_of_any_rank_that_exists_is_refused(tmp_path):
    (tmp_path / "all.rank2.mcap").touch()
    settings = make_settings(tmp_path, record=tmp_path / "all.mcap", devices=3)
    with pytest.raises(ConfigurationError, match=r"all\.rank2\.mcap already exists"):
        make_plan(settings)
    make_plan(settings.model_copy(update={"devices": 2}))


def test_one_gpu_and_several_devices_contradict_each_other():
    with pytest.raises(ConfigurationError, match="CUDA_VISIBLE_DEVICES"):
        read_settings(gpu=1, devices=2)


def test_more_devices_than_there_are_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    settings = make_settings(tmp_path, no_cuda=False, devices=3)
    with pytest.raises(ConfigurationError, match="only 2 CUDA devices"):
        make_plan(settings)
    assert make_plan(settings.model_copy(update={"devices": 2})).gpu == 0


def test_a_resume_needs_the_ranks_again():
    flags = flags_to_go_on(read_settings(devices=2, frames_from="all"))
    assert flags == ["--devices", "2", "--frames-from", "all"]
