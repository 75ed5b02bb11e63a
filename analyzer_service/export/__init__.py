"""A run's rows as files for other programs: CSV, Parquet, JSON."""

from analyzer_service.export.files import FORMATS, Exported, export_run

__all__ = ["FORMATS", "Exported", "export_run"]
