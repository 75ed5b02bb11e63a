"""Where the results of a run lie, as its options and its analyzer say."""

from pathlib import Path

from shared.naming import run_folder_name
from trainer.capture.options import SidecarOptions
from trainer.results import RunResults


def results_of(options: SidecarOptions, run_name: str, said: str | None) -> RunResults:
    """Results of the run `run_name`; `said` is the folder that its analyzer named at the end."""
    if not options.enabled or options.sidecar == "off":
        return RunResults(None, "the sidecar is off: replay the recording, if there is one")
    if options.sidecar == "local":
        why = "the analyzer makes it within seconds of the run's first batch"
        return RunResults(options.output_dir / run_folder_name(run_name), why)
    where = "" if said is None else f" {said}"
    why = (
        f"an analyzer elsewhere writes the run's folder{where}; there, "
        "python -m analyzer_service summary RUN tells the same"
    )
    return RunResults(None if said is None else Path(said), why)
