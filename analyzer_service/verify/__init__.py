"""Is a run's folder, or a recording, whole? Recounted from facts; nothing is changed."""
