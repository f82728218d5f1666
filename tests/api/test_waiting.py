"""Who waits, and what they hear meanwhile."""

import pytest

from bot.api import waiting
from bot.api.waiting import news_of
from bot.progress import Progress, Stage
from bot.worker.following import Feed

pytestmark = pytest.mark.asyncio


async def test_news_and_silence_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed()
    heard = news_of(feed)
    monkeypatch.setattr(waiting, "PING", 0)
    assert await anext(heard) is None
    monkeypatch.setattr(waiting, "PING", 60)
    step = Progress(Stage.PAINTING, step=1)
    feed.report(step)
    assert await anext(heard) is step
    feed.end()
    assert [news async for news in heard] == []
