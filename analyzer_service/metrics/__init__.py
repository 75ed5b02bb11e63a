"""`/metrics` and `/healthz`: what the ingest loop publishes, read by a thread of their own."""
