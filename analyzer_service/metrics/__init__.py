"""`/metrics`, `/healthz`, `/readyz`: what the loop publishes, read by a thread of their own."""
