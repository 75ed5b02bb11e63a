"""``python -m trainer``: the guide's flags, and what became of a run."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from shared.errors import ConfigurationError
from shared.flags import PREFIX, Config, strange_variables
from shared.logs import log_to, say, say_error
from trainer.finished import describe
from trainer.help_sections import SectionedCommand
from trainer.limits import Limits
from trainer.ranks import this_rank
from trainer.settings import TrainSettings, read_settings

_LIMITS = "Limits of the sidecar, in MiB (training goes on, what is dropped is counted)"

log = logging.getLogger(__name__)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _limit(help: str) -> Any:
    """Option of `trainer.limits.Limits`, in a section of its own."""
    return typer.Option(help=help, rich_help_panel=_LIMITS)


@app.command(cls=SectionedCommand, context_settings={"auto_envvar_prefix": f"{PREFIX}_TRAINER"})
def train(
    ctx: typer.Context,
    gpu: Annotated[int | None, typer.Option(help="GPU to use.  [default: 0]")] = None,
    devices: Annotated[
        int, typer.Option(help="Processes that train together (DDP), each on its own device.")
    ] = 1,
    no_cuda: Annotated[bool, typer.Option("--no-cuda", help="Train on the CPU.")] = False,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Tiles in a batch of each device; found for the machine when left out."),
    ] = None,
    num_workers: Annotated[
        int, typer.Option(help="Most processes that read ahead; data in memory needs none.")
    ] = 4,
    analysis_freq: Annotated[
        int, typer.Option(help="Draw a dashboard every N training batches.")
    ] = 100,
    project_name: Annotated[str, typer.Option(help="W&B project.")] = "histopath-kan-auto",
    data: Annotated[
        str,
        typer.Option(help="'ihc' (an image inside scikit-image), a folder, .npz or whole slide."),
    ] = "ihc",
    stain: Annotated[str, typer.Option(help="he, ihc or auto (by color).")] = "auto",
    mpp: Annotated[
        float | None, typer.Option(help="Micrometers per pixel, where the files do not say.")
    ] = None,
    tile_size: Annotated[
        int | None, typer.Option(help="Side of a tile in pixels, a multiple of 8.  [default: 128]")
    ] = None,
    model: Annotated[
        str, typer.Option(help="full, small or auto (full on CUDA, small on the CPU).")
    ] = "auto",
    epochs: Annotated[int, typer.Option(help="Epochs to train.")] = 5,
    max_steps: Annotated[int, typer.Option(help="Steps to train at most; -1: no limit.")] = -1,
    precision: Annotated[
        str, typer.Option(help="32-true, 16-mixed (CUDA only) or bf16-mixed.")
    ] = "32-true",
    seed: Annotated[int, typer.Option(help="Of weights, tiles and noise.")] = 0,
    run_name: Annotated[
        str | None, typer.Option(help="Name of the run.  [default: date and time]")
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder that results go to.")] = Path(),
    resume: Annotated[Path | None, typer.Option(help="Checkpoint of a run to go on with.")] = None,
    frame_samples: Annotated[
        int, typer.Option(help="Tiles of each batch that are shown and analyzed.")
    ] = 4,
    frames_from: Annotated[
        str, typer.Option(help="Ranks whose images and maps are analyzed: first or all.")
    ] = "first",
    sidecar: Annotated[
        str, typer.Option(help="local (starts an analyzer), off, or tcp://HOST:PORT.")
    ] = "local",
    keys: Annotated[
        Path | None,
        typer.Option(help="Folder of keys (analyzer_service keys DIR), for --sidecar tcp://."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="MCAP file that gets everything, to be replayed.")
    ] = None,
    drain_timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds to wait for the analyzer at the end.  [default: 600 if local, else 10]"
        ),
    ] = None,
    grace: Annotated[
        float,
        typer.Option(
            help="Seconds within which it has ended after SIGTERM: less than whoever sends it "
            "waits before it kills."
        ),
    ] = 25.0,
    wandb: Annotated[
        str | None, typer.Option(help="online, offline or disabled, for a local analyzer.")
    ] = None,
    analyzer: Annotated[
        str | None,
        typer.Option(
            help="MODULE:CLASS of your own analysis of each frame, for a local analyzer.  "
            "[env var: SIDELIGHT_ANALYZER]",
        ),
    ] = None,
    capture_mib: Annotated[
        int, _limit("Tensors that wait to be copied; beyond it, the oldest frame is dropped.")
    ] = Limits.capture_mib,
    pinned_mib: Annotated[
        int, _limit("Page-locked memory for copies from a GPU; beyond it, a frame is dropped.")
    ] = Limits.pinned_mib,
    queue_mib: Annotated[
        int,
        _limit(
            "Copied frames that wait for the analyzer or are on their way; beyond it, the oldest "
            "waiting one is dropped."
        ),
    ] = Limits.queue_mib,
    unacked_mib: Annotated[
        int,
        _limit(
            "Scalars and events that the analyzer has not committed; beyond it, they wait in the "
            "journal alone."
        ),
    ] = Limits.unacked_mib,
    journal_mib: Annotated[
        int,
        _limit(
            "The journal file: frames get a quarter, scalars all; beyond it, they wait in memory."
        ),
    ] = Limits.journal_mib,
    log_format: Annotated[
        str,
        typer.Option(
            help="text, json, or auto: json unless it is a terminal.  "
            "[env var: SIDELIGHT_LOG_FORMAT]",
            envvar="SIDELIGHT_LOG_FORMAT",
            show_envvar=False,
        ),
    ] = "auto",
    config: Config = None,
) -> None:
    """Train DAE-KAN on tissue while another process analyzes it."""
    given = locals()
    del given["ctx"]
    del given["config"]  # what it says stands in the others
    del given["log_format"]
    _run(read_settings(**given), log_format, list(strange_variables(ctx, os.environ).values()))


def main() -> None:
    """Run the command line; one line and exit code 2 on settings that cannot be used."""
    try:
        app()
    except ConfigurationError as error:
        say_error(str(error))
        sys.exit(2)


def _run(settings: TrainSettings, log_format: str, strange: Sequence[str]) -> None:
    first = this_rank() == 0  # the others say only what goes wrong
    log_to(None, log_format, text="%(message)s", level=logging.INFO if first else logging.WARNING)
    for words in strange if first else ():
        log.warning("%s", words)
    from trainer.fit import fit  # with torch and Lightning, which --help does without

    finished = fit(settings)
    for line in describe(finished) if first else ():
        say(line)
