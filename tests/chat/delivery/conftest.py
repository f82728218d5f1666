from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.backoff import Backoff
from bot.chat.delivery import outbox as outbox_module
from tests.chat.delivery.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(outbox_module, "RETRY_AFTER", Backoff(0))
    async with Desk.open(tmp_path) as desk:
        yield desk
