"""Networks that come with the configuration of a model, on their way to a worker."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.distributed import fetching
from bot.distributed.fetched import PARTIAL, Fetched
from bot.distributed.fetching import Fetcher
from bot.distributed.localising import lacks_of
from bot.distributed.parts import Kind, Part
from bot.distributed.source import Source
from bot.errors import NotHere
from bot.order import Order
from catalog import Catalog
from tests.distributed.bot_files import interface
from tests.distributed.lent_models import (
    ENCODER,
    FILES,
    HUB,
    PIPELINE,
    SHARDS,
    VAE,
    Watched,
    lender,
    machine_of,
    needs,
    offered,
    sent,
)
from tests.distributed.machines import EMPTY, Machine, put
from tests.distributed.site import Heard, completed
from tests.parameters import mostly_long


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    return machine_of(tmp_path / "bot")


@dataclass
class Site:
    """The bot's interface and a worker's end of it."""

    url: str
    key: str
    worker: Machine
    bot: Machine
    heard: Heard = field(default_factory=Heard)

    @property
    def asked(self) -> list[str]:
        assert isinstance(self.bot.inventory, Watched)
        return self.bot.inventory.asked

    async def complete(self, order: Order) -> Order:
        assert self.worker.fetched is not None
        source = Source(self.url, self.key)
        fetcher = Fetcher(source, self.worker.fetched, self.worker.inventory)
        try:
            return await asyncio.to_thread(completed, fetcher, order, self.heard)
        finally:
            fetcher.close()


@pytest.fixture
async def site(here: Machine, tmp_path: Path, impatient: None) -> Any:
    async with interface(tmp_path, here.inventory) as http:
        models = tmp_path / "worker/models"
        models.mkdir(parents=True)
        made = Machine(tmp_path / "worker", EMPTY, Fetched(models / "fetched", 2**30)).ready()
        yield Site(http.url, http.keys["worker"], made, here)


def weights_in(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def bytes_in(machine: Machine) -> int:
    """Of all parts that were fetched, as the disk has them."""
    paths = (machine.models / "fetched").glob("[0-9a-f]*/**/*")
    found = {path.stat().st_ino: path.stat().st_size for path in paths if path.is_file()}
    return sum(found.values())


class TestFetched:
    async def test_all_of_it_comes_once_for_all(self, site: Site) -> None:
        local = await site.complete(sent(site.bot))
        assert weights_in(local.lent["text_encoder"]) == ENCODER
        assert [*weights_in(local.lent["vae"]).values()] == [VAE]
        assert local.model is not None
        assert weights_in(f"{local.model.config}/tokenizer")["vocab.json"] == b'{"a": 1}'
        assert [*weights_in(f"{local.model.config}/vae")] == ["config.json"]
        assert needs(site.bot, "one") <= site.worker.inventory.digests
        before = len(site.asked)
        await site.complete(sent(site.bot, "two"))
        assert site.asked[before:] == ["two.safetensors"]

    @pytest.mark.long
    async def test_a_text_encoder_of_three_models_comes_once(self, site: Site) -> None:
        local = await site.complete(sent(site.bot, "other-encoder"))
        assert local.model is not None
        path = Path(str(local.model.text_encoder_path))
        assert path.name == "model.gguf"
        assert weights_in(str(path.parent))["model.gguf"] == FILES["qwen.gguf"]
        assert local.lent.keys() == {"vae"}
        assert not {*SHARDS} & {*site.asked}
        before = len(site.asked)
        for key, own in (("again", ["two.safetensors"]), ("klein", None)):
            await site.complete(sent(site.bot, key))
            came = site.asked[before:]
            assert came == own if own else "qwen.gguf" not in came
            before = len(site.asked)

    @pytest.mark.long
    async def test_what_came_with_another_model_is_not_sent_again(self, site: Site) -> None:
        await site.complete(sent(site.bot, "folder"))
        before = len(site.asked)
        local = await site.complete(sent(site.bot))
        assert site.asked[before:] == ["one.safetensors"]
        assert weights_in(local.lent["text_encoder"]) == ENCODER
        # Nor does it count twice.
        assert site.worker.fetched is not None
        digests = site.worker.fetched.digests
        assert site.worker.fetched.size_of(digests) == bytes_in(site.worker)

    @pytest.mark.long
    async def test_where_files_cannot_have_two_names_they_are_copied(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
        await site.complete(sent(site.bot, "folder"))
        before = len(site.asked)
        local = await site.complete(sent(site.bot))
        assert site.asked[before:] == ["one.safetensors"]
        assert weights_in(local.lent["text_encoder"]) == ENCODER

    async def test_a_copy_that_is_damaged_is_fetched(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def damage(_: object, __: object, path: Path, ___: object) -> None:
            path.write_bytes(b"damaged")

        monkeypatch.setattr(Fetcher, "_copy", damage)

        def refuse(*_: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
        await site.complete(sent(site.bot, "folder"))
        local = await site.complete(sent(site.bot))
        assert weights_in(local.lent["text_encoder"]) == ENCODER

    @pytest.mark.parametrize("key", mostly_long(["one", "two"], usual=1))
    async def test_nothing_comes_unless_there_is_room_for_all(self, site: Site, key: str) -> None:
        assert site.worker.fetched is not None
        site.worker.fetched.limit = 300_000
        with pytest.raises(NotHere) as missing:
            await site.complete(sent(site.bot, key))
        assert missing.value.failure is not None
        assert missing.value.failure.code == "part.too_large"
        assert missing.value.failure.params["name"] == key
        assert missing.value.digest in needs(site.bot, key)
        assert site.asked == []
        assert not [*(site.worker.models / "fetched" / PARTIAL).glob("*")]

    async def test_a_full_disk_is_told_before_anything_comes(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Usage:
            free = 300_000

        monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: Usage)  # type: ignore[attr-defined]
        with pytest.raises(NotHere) as missing:
            await site.complete(sent(site.bot))
        assert missing.value.failure is not None
        assert missing.value.failure.code == "part.disk_full"
        assert site.asked == []

    async def test_what_the_bot_has_no_more_is_told_by_name(self, site: Site) -> None:
        order = sent(site.bot)
        for name in SHARDS:
            (site.bot.models / "source/text_encoder" / name).unlink()
        site.bot.ready()
        with pytest.raises(NotHere) as missing:
            await site.complete(order)
        assert missing.value.failure is not None
        assert (missing.value.failure.code, missing.value.failure.params) == (
            "part.missing",
            {"name": "one"},
        )
        assert site.asked == []


class TestOnTheHub:
    """The configuration is the family's own, which is in the cache of the hub at the bot."""

    @pytest.fixture
    def names(self) -> set[str]:
        return set(PIPELINE)

    @pytest.fixture
    def here(self, tmp_path: Path, names: set[str]) -> Machine:
        files = {name: data for name, data in FILES.items() if not name.startswith("source/")}
        snapshot = f"hub/models--{HUB.replace('/', '--')}/snapshots/{'f' * 40}"
        files |= {f"{snapshot}/{name}": PIPELINE[name] for name in names}
        catalog = offered(config=None)
        del catalog.models["folder"]  # type: ignore[attr-defined]
        return machine_of(tmp_path / "bot", catalog, files)

    async def test_it_comes_from_the_bot(self, site: Site) -> None:
        """So both have the same, also if what is on the hub has changed since."""
        order = sent(site.bot, catalog=site.bot.catalog)
        assert {lack.on_hub for lack in lacks_of(order, site.worker.inventory)} == {False, True}
        local = await site.complete(order)
        assert weights_in(local.lent["text_encoder"]) == ENCODER
        assert local.model is not None
        assert (local.model.config or "").startswith(str(site.worker.models / "fetched"))

    async def test_the_hub_is_not_kept_waiting_for_a_bot_that_is_away(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is asked once for all that the hub has as well."""
        order = sent(site.bot, catalog=site.bot.catalog)
        put(site.worker.models, {"one.safetensors": FILES["one.safetensors"]})
        own = lender("one", "one.safetensors", config=None)
        site.worker.catalog = Catalog({"one": own}, {}, "one")
        site.worker.ready()
        site.url, asked = "http://127.0.0.1:9", []
        real = Source.files_of

        def watched(self: Source, kind: Kind, *more: Any) -> Any:
            asked.append(kind)
            return real(self, kind, *more)

        monkeypatch.setattr(Source, "files_of", watched)
        local = await site.complete(order)
        assert local.model is not None
        assert local.model.path == str(site.worker.models / "one.safetensors")
        assert local.model.config == HUB
        assert {*local.lent.values()} == {HUB}
        assert len(asked) == 1

    class TestInPart:
        @pytest.fixture
        def names(self) -> set[str]:
            return {name for name in PIPELINE if name.startswith(("model_index", "vae/"))}

        @pytest.mark.long
        async def test_the_rest_is_left_to_the_engine(self, site: Site) -> None:
            local = await site.complete(sent(site.bot, catalog=site.bot.catalog))
            assert local.model is not None
            assert local.model.config == HUB
            assert local.lent["text_encoder"] == HUB
            assert [*weights_in(local.lent["vae"]).values()] == [VAE]
            assert site.bot.inventory.holding(Part(Kind.CONFIG, HUB).hub_digest)
