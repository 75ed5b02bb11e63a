"""Tiles of a run for the browser: their images, maps, numbers and nuclei, step by step."""
