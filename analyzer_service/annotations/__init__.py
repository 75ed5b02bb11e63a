"""What people have marked in tiles and slides: read, repaired, drawn as masks, written."""

from analyzer_service.annotations.files import (
    AnnotationFile,
    read_annotations,
    write_geojson,
    write_web_annotations,
)
from analyzer_service.annotations.rasterizing import rasterize
from analyzer_service.annotations.regions import (
    FAULTS,
    UNCLASSIFIED,
    Fault,
    Polygon,
    Region,
)

__all__ = [
    "FAULTS",
    "UNCLASSIFIED",
    "AnnotationFile",
    "Fault",
    "Polygon",
    "Region",
    "rasterize",
    "read_annotations",
    "write_geojson",
    "write_web_annotations",
]
