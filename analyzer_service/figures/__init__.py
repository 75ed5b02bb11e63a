"""The dashboard: six panels about one batch, drawn to PNG bytes that depend on data only."""
