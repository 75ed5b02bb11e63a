"""Preloaded by a dask worker: it has another NumPy, as far as anybody can tell."""

from analyzer_service.cluster import serving
from analyzer_service.cluster.installation import installation

serving.installation = lambda: {**installation(), "numpy": "1.0"}  # type: ignore[attr-defined]
