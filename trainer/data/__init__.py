"""Tiles of tissue: where they come from, which ones train and which ones validate."""
