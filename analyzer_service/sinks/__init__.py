"""Where released rows go: JSON files, the report, the frames folder, W&B."""
