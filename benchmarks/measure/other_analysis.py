"""Starts the analyzer's command line with another function in the place of `analyze_frame`."""

from typing import Any


def serve_with(analyze: str) -> None:
    """Act on the command line; `analyze` is ``module:name``, resolved in the workers."""
    import analyzer_service.receive.serve as serving
    from analyzer_service.cli import main
    from analyzer_service.pipeline.settings import Calls, PipelineSettings

    settings = serving.RunsSettings

    def with_analysis(**given: Any) -> Any:
        return settings(**given, pipeline=PipelineSettings(calls=Calls(analyze=analyze)))

    serving.RunsSettings = with_analysis  # type: ignore[assignment, misc]
    main()
