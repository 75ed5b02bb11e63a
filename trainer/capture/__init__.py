"""Take a step's values as they pass by: gates by hooks, images and scalars by reference."""
