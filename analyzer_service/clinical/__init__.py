"""Attention against what pathologists marked, and they against each other: evidence only."""

from analyzer_service.clinical.guide import (
    create_pathologist_annotation_interface,
    generate_clinical_validation_report,
)
from analyzer_service.clinical.interface import AnnotationInterface
from analyzer_service.clinical.report import ClinicalValidationReport
from analyzer_service.clinical.validating import Validation, validate_run

__all__ = [
    "AnnotationInterface",
    "ClinicalValidationReport",
    "Validation",
    "create_pathologist_annotation_interface",
    "generate_clinical_validation_report",
    "validate_run",
]
