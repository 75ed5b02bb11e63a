"""The list of runs: where each stands, and what people noted of it."""

from analyzer_service.page.listing.routes import routes

__all__ = ["routes"]
