"""A broker of its own for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.distributed.server import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    broker = Server(tmp_path)
    broker.start()
    yield broker
    broker.kill()
