"""Hand a batch over in microseconds; deliver it from another thread."""
