"""Files from the bot over HTTP: real server, real client."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.distributed.fetched import Fetched
from bot.distributed.fetching import Fetcher
from bot.distributed.localising import addressed
from bot.distributed.source import Source, check_address
from bot.engine.hashing import HashCache
from bot.errors import SettingsError
from bot.order import Order
from bot.progress import Stage
from catalog import Catalog
from tests.distributed.machines import (
    BOT,
    BOTS,
    Machine,
    bot,
    everything,
    model,
    order_for,
    put,
    worker,
)
from tests.distributed.site import (
    DIGEST,
    PLAIN,
    WITH_A_SERVER,
    Heard,
    Site,
    beside,
    completed,
    read,
)


@WITH_A_SERVER
class TestComing:
    async def test_whatever_an_order_needs_comes(self, site: Site) -> None:
        local = await site.complete(site.order(everything()))
        assert local.model is not None
        assert read(local.model.path) == BOT["checkpoints/Big Model v1.safetensors"]
        assert read(local.model.path.replace(".safetensors", ".yaml")).startswith(b"param")
        assert read(f"{local.model.vae_path}/config.json") == b"{}"
        assert local.reference is not None
        encoder = f"{local.reference.path}/{local.reference.encoder}"
        assert read(f"{encoder}/config.json") == b"{}"
        assert read(f"{encoder}/model.safetensors") == b"encoder"
        [hands] = local.embeddings
        assert hands.second is not None
        assert read(beside(hands.path, hands.second)) == b"second"
        peft = beside(local.adapters[1].path, "adapter_config.json")
        assert read(peft) == BOT["peft/adapter_config.json"]
        needs = site.bot.inventory.needs_of(everything(), BOTS)
        assert set(needs) <= site.worker.inventory.digests
        assert site.partial() == []

    async def test_a_folder_comes_as_it_is(self, site: Site) -> None:
        """Both tokenizers have the same vocabulary, which is a file of its own in each."""
        local = await site.complete(site.order(replace(PLAIN, model="folder")))
        assert local.model is not None
        for name, data in BOT.items():
            if name.startswith("folder/"):
                assert read(f"{local.model.path}/{name.removeprefix('folder/')}") == data

    async def test_it_is_told_how_much_is_there(self, site: Site) -> None:
        await site.complete()
        assert {(each.stage, each.subject) for each in site.heard.reports} == {
            (Stage.DOWNLOADING, "plain")
        }
        fractions = [each.fraction for each in site.heard.reports]
        assert fractions == sorted(fractions)
        assert 0 <= fractions[0] <= fractions[-1] <= 1

    async def test_once_is_enough(self, site: Site, tmp_path: Path) -> None:
        """For other orders, and after a restart, without anybody to fetch from."""
        first = await site.complete()
        assert await site.complete(url="http://127.0.0.1:9") == first
        again = Fetched(site.folder, 2**30)
        site.worker = Machine(site.worker.home, Catalog({}, {}, ""), again).ready()
        assert await site.complete(url="http://127.0.0.1:9") == first

    async def test_what_the_worker_has_already_is_not_sent(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only the text that belongs to the checkpoint is missing."""
        weights = "checkpoints/Big Model v1.safetensors"
        put(site.worker.models, {"mine.safetensors": BOT[weights]})
        mine = Catalog({"mine": model("mine", "mine.safetensors")}, {}, "mine")
        site.worker = Machine(site.worker.home, mine, site.worker.fetched).ready()
        asked: list[str] = []
        real = Fetcher._load

        def watched(self: Fetcher, sent: Any, *more: Any) -> Path:
            asked.append(sent.name)
            return real(self, sent, *more)

        monkeypatch.setattr(Fetcher, "_load", watched)
        order = site.order(replace(PLAIN, model="big"))
        local = await site.complete(order)
        assert "model.yaml" in asked
        assert "model.safetensors" not in asked
        assert local.model is not None
        assert read(local.model.path) == BOT[weights]
        assert (site.worker.models / "mine.safetensors").read_bytes() == BOT[weights]

    async def test_the_engine_need_not_hash_it_again(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        local = await site.complete()
        assert local.model is not None
        kept = HashCache(site.worker.home / "hashes.json")
        assert kept.whole(Path(local.model.path)) == DIGEST

    async def test_two_orders_fetch_it_once(self, site: Site) -> None:
        fetcher, order = site.fetcher(), site.order()
        here = threading.Barrier(2)

        def complete() -> Order:
            here.wait(10)
            return completed(fetcher, order, site.heard)

        one, other = await asyncio.gather(*(asyncio.to_thread(complete) for _ in range(2)))
        fetcher.close()
        assert one == other
        assert len(list(site.folder.glob("*.json"))) == 1


@pytest.mark.parametrize(
    ("url", "sound"),
    [
        ("https://imagen.example.org", True),
        ("https://imagen.example.org/below/", True),
        ("http://127.0.0.1:8009", True),
        ("http://[::1]:8009", True),
        ("http://localhost:8009", True),
        ("http://imagen.example.org", False),
        ("http://192.168.1.2:8009", False),
        ("http://127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
        ("http://[::1", False),
        ("ftp://127.0.0.1", False),
        ("127.0.0.1:8009", False),
        ("", False),
    ],
)
def test_the_key_is_shown_to_no_one_else(url: str, sound: bool) -> None:
    if sound:
        check_address(url)
        return
    with pytest.raises(SettingsError, match="IMAGEN_FETCH_FROM"):
        check_address(url)


async def test_a_worker_with_all_files_fetches_none(tmp_path: Path) -> None:
    here, there = bot(tmp_path / "a").ready(), worker(tmp_path / "b").ready()
    fetched = Fetched(tmp_path / "fetched", 100)
    fetcher = Fetcher(Source("http://127.0.0.1:9", "imagen_x"), fetched, there.inventory)
    order = addressed(order_for(BOTS, everything()), here.inventory)
    heard = Heard()
    local = await asyncio.to_thread(completed, fetcher, order, heard)
    fetcher.close()
    assert local.model is not None
    assert heard.reports == []
    assert not fetched.folder.exists()
