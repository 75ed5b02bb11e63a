"""Annotating in the browser: what readers mark, kept as QuPath's GeoJSON in the run's folder."""
