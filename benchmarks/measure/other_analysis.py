"""Starts the analyzer's command line with another function in the place of `analyze_frame`."""

from dataclasses import replace
from typing import Any


def serve_with(analyze: str) -> None:
    """Act on the command line; `analyze` is ``module:name``, resolved in the workers."""
    import analyzer_service.receive.serve as serving
    from analyzer_service.cli import main
    from analyzer_service.pipeline.settings import Calls

    settings = serving.RunsSettings

    def with_analysis(**given: Any) -> Any:
        pipeline = replace(given["pipeline"], calls=Calls(analyze=analyze))
        return settings(**given | {"pipeline": pipeline})

    serving.RunsSettings = with_analysis  # type: ignore[assignment, misc]
    main()
