"""What a run left behind, and how the command line says so."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from shared.books import books_in_words
from shared.messages import Books
from trainer.commands import command

REPORT: Final = "final_summary_report.md"
PAGE: Final = "final_summary_report.html"

ReportState = Literal["written", "expected", "missing"]
"""``expected``: another process, which may be on another machine, writes it when it is through;
``missing``: the run's own analyzer has ended without it."""

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Finished:
    """What a run left behind.

    Attributes
    ----------
    run_folder : Path or None
        What the analyzer wrote, where that is known.
    recording : Path or None
        What can be replayed.
    recordings_of_others : tuple of Path
        What the other ranks recorded, to be replayed together with it.
    ranks : int
        Processes that trained; `complete` and `books` are of rank 0.
    replay_into : Path
        Where to: a journal completes the run's own folder, a recording makes a new one.
    complete : bool
        Whether everything that was offered reached the analyzer.
    books : Books or None
        What became of frames and records.
    report : ReportState
        What became of the report in `run_folder`.
    """

    run_name: str
    checkpoints: Path
    run_folder: Path | None
    recording: Path | None
    complete: bool
    val_loss: float | None
    val_ssim: float | None
    recordings_of_others: tuple[Path, ...] = ()
    replay_into: Path = Path("replayed")
    books: Books | None = None
    report: ReportState = "expected"
    ranks: int = 1


def report_stamp(run_folder: Path | None) -> Stamp | None:
    """What tells one report from another that takes its place; None where there is none."""
    if run_folder is None:
        return None
    try:
        found = (run_folder / REPORT).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def describe(finished: Finished) -> list[str]:
    """Lines that say where a run's results are."""
    lines = [f"Run {finished.run_name} has ended."]
    if finished.val_ssim is not None and finished.val_loss is not None:
        lines.append(f"  Validation   loss {finished.val_loss:.5f}, SSIM {finished.val_ssim:.3f}")
    if finished.run_folder is not None:
        lines += _results(finished, finished.run_folder)
    lines.append(f"  Checkpoints  {finished.checkpoints}")
    if finished.books is not None:
        if finished.ranks > 1:
            lines.append(f"  Of rank 0    (the report has the books of all {finished.ranks} ranks)")
        lines += [f"  {what:<12} {words}" for what, words in books_in_words(finished.books)]
    lines.append(f"  Replay       {_how_to_replay(finished)}")
    return lines


def _results(finished: Finished, folder: Path) -> list[str]:
    """Where the analyzer's results are; of its own analyzer the trainer knows what is missing."""
    report = str(folder / REPORT)
    if finished.report == "expected":
        report += " (when the analyzer is through)"
    elif finished.report == "missing":
        how = "no recording holds the run" if finished.recording is None else "replay it, see below"
        report = f"none, the analyzer ended without it: {how}"
    missing = finished.report == "missing" and not folder.exists()
    where = "none, the analyzer ended before it made one" if missing else folder
    page = [f"  With plots   {folder / PAGE}"] if finished.report == "written" else []
    if not missing:
        page.append(f"  In browser   {how_to_watch(folder)}")
    return [f"  Run folder   {where}", f"  Report       {report}", *page]


def how_to_watch(run_folder: Path) -> str:
    """Command that shows a run in the browser, from its start on."""
    return command("analyzer_service", "page", "--output-dir", run_folder.parent)


def _how_to_replay(finished: Finished) -> str:
    if finished.recording is None:
        return "nothing was recorded; --record FILE.mcap makes a file that can be replayed"
    recordings = (finished.recording, *finished.recordings_of_others)
    return command("analyzer_service", "replay", *recordings, "--output-dir", finished.replay_into)
