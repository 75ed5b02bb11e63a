"""What the benchmarks share: statistics, output, and an analyzer in a process of its own."""
