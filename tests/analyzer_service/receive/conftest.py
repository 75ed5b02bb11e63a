from pathlib import Path

import pytest

from shared.transport.addresses import Address, parse_address


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Address:
    folder: Path = tmp_path_factory.mktemp("s")
    return parse_address(f"ipc://{folder}/a")
