"""Is this machine ready? What is installed, free, writable and there, and what to do if not."""
