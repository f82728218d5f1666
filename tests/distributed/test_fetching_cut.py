"""What was cut off goes on; whoever gives up waits for nothing."""

import asyncio
from typing import Any

import httpx2
import pytest

from bot.distributed import source as source_module
from bot.distributed.fetched import PARTIAL, Fetched
from bot.distributed.source import FetchFailed, Source
from bot.errors import PaintStopped
from tests.distributed.bot_files import cutting
from tests.distributed.machines import BOT, Machine, put
from tests.distributed.site import DIGEST, FILE, WITH_A_SERVER, Heard, Site, read


@WITH_A_SERVER
class TestCut:
    async def test_what_was_cut_goes_on_where_it_ended(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ranges: list[str] = []
        real = Source._answer

        def watched(self: Source, path: str, headers: Any, download: Any) -> Any:
            ranges.append(headers.get("Range", ""))
            return real(self, path, headers, download)

        monkeypatch.setattr(Source, "_answer", watched)
        async with cutting(site.http.url, [-1, 400_000, 400_000, -1]) as way:
            local = await site.complete(url=way)
        assert local.model is not None
        assert read(local.model.path) == BOT[FILE]
        resumed = [int(each.removeprefix("bytes=").removesuffix("-")) for each in ranges if each]
        assert len(resumed) >= 2
        assert resumed == sorted(resumed)
        assert resumed[0] > 0

    async def test_it_goes_on_after_a_restart(self, site: Site) -> None:
        async with cutting(site.http.url, [-1, 400_000, 0]) as way:
            with pytest.raises(FetchFailed) as failed:
                await site.complete(url=way)
        assert failed.value.code == "part.unreachable"
        [before] = site.partial()
        assert 0 < before < len(BOT[FILE])
        site.worker = Machine(site.worker.home, fetched=Fetched(site.folder, 2**30)).ready()
        # There is no way left for all of it.
        async with cutting(site.http.url, [len(BOT[FILE])]) as way:
            await site.complete(url=way)
        assert site.partial() == []

    async def test_damage_to_what_was_there_costs_only_time(self, site: Site) -> None:
        put(site.folder, {f"{PARTIAL}/{DIGEST}": b"damaged"})
        local = await site.complete()
        assert local.model is not None
        assert read(local.model.path) == BOT[FILE]

    async def test_more_than_there_should_be_is_begun_again(self, site: Site) -> None:
        put(site.folder, {f"{PARTIAL}/{DIGEST}": BOT[FILE] + b"more"})
        local = await site.complete()
        assert local.model is not None
        assert read(local.model.path) == BOT[FILE]

    async def test_a_job_that_is_stopped_keeps_what_is_there(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And waits no longer, whenever the next byte may come."""
        monkeypatch.setattr(source_module, "TIMEOUT", httpx2.Timeout(3600))
        site.heard.stop_at = 0.3
        async with cutting(site.http.url, [400_000], asyncio.Event()) as way, asyncio.timeout(30):
            with pytest.raises(PaintStopped):
                await site.complete(url=way)
            [there] = site.partial()
        assert 0 < there < len(BOT[FILE])
        site.heard = Heard()
        await site.complete()
        assert site.partial() == []

    async def test_a_stop_is_not_waited_for_while_the_bot_is_away(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(source_module, "PAUSES", (3600.0,))
        site.heard.stop_at = 0.0
        async with asyncio.timeout(30):
            with pytest.raises(PaintStopped):
                await site.complete(url="http://127.0.0.1:9")
