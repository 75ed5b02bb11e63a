"""Pure functions from arrays to numbers: no I/O, no clock, no state."""
