"""A run's rows as files for other programs: CSV, Parquet, JSON."""

from analyzer_service.export.files import FORMATS, export_run

__all__ = ["FORMATS", "export_run"]
