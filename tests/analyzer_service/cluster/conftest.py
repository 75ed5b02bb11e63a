from tests.analyzer_service.receive.conftest import address

__all__ = ["address"]
