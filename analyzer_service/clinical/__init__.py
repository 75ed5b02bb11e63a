"""Attention against what pathologists marked, and they against each other: evidence only."""

from analyzer_service.clinical.guide import generate_clinical_validation_report
from analyzer_service.clinical.report import ClinicalValidationReport
from analyzer_service.clinical.validating import Validation, validate_run

__all__ = [
    "ClinicalValidationReport",
    "Validation",
    "generate_clinical_validation_report",
    "validate_run",
]
