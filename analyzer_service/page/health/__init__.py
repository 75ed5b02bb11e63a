"""The health of a run: what its analyzer noted of itself, the books, alerts, and a verdict."""

from analyzer_service.page.health.routes import routes

__all__ = ["routes"]
