"""The training side: the DAE-KAN model, its data, capture and publish."""
