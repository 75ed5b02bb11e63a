"""What a run said, committed to `metrics.sqlite` and released in order."""
