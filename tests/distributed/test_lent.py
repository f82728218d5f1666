"""Which networks come with the configuration of a model, and how they reach a worker."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.distributed import fetching
from bot.distributed.expecting import expected_of
from bot.distributed.fetched import PARTIAL, Fetched
from bot.distributed.fetching import Fetcher
from bot.distributed.inventory import Inventory
from bot.distributed.localising import (
    NotHashed,
    addressed,
    digests_of,
    lacks_of,
    localise,
    named_as,
)
from bot.distributed.parts import WEIGHTS, Kind, Member, Part, bundle_of
from bot.distributed.source import Source
from bot.engine.hashing import HashCache, of_listing
from bot.errors import JobFailed, NotHere, WireError
from bot.order import Order
from bot.recipe import Recipe, Weights
from bot.wire import orders
from catalog import Catalog, ModelEntry
from catalog.families import FAMILIES
from catalog.locate import locate
from tests.distributed.bot_files import interface
from tests.distributed.machines import EMPTY, Machine, model, order_for, put, sha256
from tests.distributed.site import Heard, completed
from tests.store.factories import request

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
HUB = FAMILIES["zimage"].config


def tensors(*names: str, size: int = 64) -> bytes:
    """A .safetensors file with these tensors."""
    header = {
        name: {"dtype": "U8", "shape": [size], "data_offsets": [n * size, (n + 1) * size]}
        for n, name in enumerate(names)
    }
    data = json.dumps(header).encode()
    return len(data).to_bytes(8, "little") + data + bytes(size * len(names))


DENOISER = ("layers.0.attention.qkv.weight", "x_embedder.weight")
ENCODER = {
    SHARDS[0]: tensors("model.embed_tokens.weight", size=200_000),
    SHARDS[1]: tensors("model.layers.0.mlp.up_proj.weight", size=100_000),
}
VAE = tensors("decoder.conv_in.weight", size=50_000)
PIPELINE: Mapping[str, bytes] = {
    "model_index.json": b"{}",
    "transformer/config.json": b"{}",
    "transformer/diffusion_pytorch_model.safetensors": tensors(*DENOISER, size=1000),
    "text_encoder/config.json": b'{"layers": 36}',
    "text_encoder/model.safetensors.index.json": b'{"weight_map": {}}',
    **{f"text_encoder/{name}": data for name, data in ENCODER.items()},
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": VAE,
    "scheduler/scheduler_config.json": b"{}",
    "tokenizer/tokenizer_config.json": b"{}",
    "tokenizer/vocab.json": b'{"a": 1}',
}
FILES: Mapping[str, bytes] = {
    **{f"source/{name}": data for name, data in PIPELINE.items()},
    "one.safetensors": tensors(*DENOISER, size=2000),
    "two.safetensors": tensors(*DENOISER, size=3000),
    "whole.safetensors": tensors(
        *(f"model.diffusion_model.{name}" for name in DENOISER),
        "text_encoders.qwen3_4b.model.embed_tokens.weight",
        "vae.decoder.conv_in.weight",
    ),
    "vae.safetensors": tensors("decoder.conv_in.weight", size=40),
    "qwen.gguf": b"a text encoder" * 20_000,
}


def lender(key: str, path: str, **fields: Any) -> ModelEntry:
    return model(key, path, **{"family": "zimage", "config": "source", **fields})


def offered(**changed: Any) -> Catalog:
    entries = (
        lender("one", "one.safetensors", **changed),
        lender("two", "two.safetensors", **changed),
        lender("whole", "whole.safetensors", **changed),
        lender("other-vae", "one.safetensors", vae_path="vae.safetensors", **changed),
        *(
            lender(key, path, text_encoder_path="qwen.gguf", **changed)
            for key, path in (("other-encoder", "one.safetensors"), ("again", "two.safetensors"))
        ),
        model("klein", "source", family="flux2", text_encoder_path="qwen.gguf"),
        model("folder", "source", family="zimage"),
    )
    return Catalog({entry.key: entry for entry in entries}, {}, "one")


MODELS = offered()


class Watched(Inventory):
    """asked: the names of the files that were sent, in order."""

    def __init__(self, home: Path) -> None:
        super().__init__(home / "models", HashCache(home / "hashes.json"))
        self.asked: list[str] = []

    def file(self, sha256: str) -> Member | None:
        found = super().file(sha256)
        if found is not None:
            self.asked.append(found.path.name)
        return found


def machine_of(
    home: Path, catalog: Catalog = MODELS, files: Mapping[str, bytes] = FILES
) -> Machine:
    put(home / "models", files)
    made = Machine(home, catalog)
    made.inventory = Watched(home)
    return made.ready()


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    return machine_of(tmp_path / "bot")


def asked_for(key: str) -> Any:
    return request(model=key, adapters=())


def sent(machine: Machine, key: str = "one", catalog: Catalog = MODELS) -> Order:
    """As it comes out of the wire."""
    order = addressed(order_for(catalog, asked_for(key)), machine.inventory)
    return orders.decode(orders.encode(order)).with_pictures({})


def needs(machine: Machine, key: str) -> set[str]:
    return set(machine.inventory.needs_of(asked_for(key), machine.catalog))


class TestNeeded:
    def test_a_denoiser_alone_needs_what_its_source_lends(self, here: Machine) -> None:
        encoder = of_listing((name, sha256(data)) for name, data in ENCODER.items())
        found = needs(here, "one")
        assert {sha256(FILES["one.safetensors"]), encoder, sha256(VAE)} < found
        assert len(found) == 4
        assert digests_of(sent(here)) == found

    def test_what_is_in_the_file_is_not_needed(self, here: Machine) -> None:
        assert len(needs(here, "whole")) == 2
        assert sent(here, "whole").lent == {}

    def test_a_vae_of_its_own_takes_the_place_of_the_lent_one(self, here: Machine) -> None:
        found = needs(here, "other-vae")
        assert sha256(VAE) not in found
        assert sha256(FILES["vae.safetensors"]) in found
        assert sent(here, "other-vae").lent.keys() == {"text_encoder"}

    def test_a_text_encoder_of_its_own_takes_the_place_of_the_lent_one(self, here: Machine) -> None:
        found = needs(here, "other-encoder")
        assert sha256(FILES["qwen.gguf"]) in found
        assert of_listing((name, sha256(data)) for name, data in ENCODER.items()) not in found
        assert sent(here, "other-encoder").lent.keys() == {"vae"}
        # Whatever the family.
        assert sha256(FILES["qwen.gguf"]) in needs(here, "again") & needs(here, "klein")

    @pytest.mark.parametrize("path", ["source", "source/text_encoder"])
    def test_of_a_folder_only_the_text_encoder_is_needed(self, tmp_path: Path, path: str) -> None:
        entry = lender("x", "one.safetensors", text_encoder_path=path)
        machine = machine_of(tmp_path, Catalog({"x": entry}, {}, "x"))
        bundle = bundle_of(Part(Kind.TEXT_ENCODER, path), locate(path, machine.models))
        assert bundle
        below = "text_encoder/" if path == "source" else ""
        names = {f"{below}{name}" for name in ("config.json", *ENCODER)}
        names |= {f"{below}model.safetensors.index.json"}
        assert {member.name for member in bundle.members} == names
        assert len(needs(machine, "x")) == 4
        assert sent(machine, "x", machine.catalog).lent.keys() == {"vae"}

    @pytest.mark.parametrize("path", ["odd", "org/odd"])
    def test_a_folder_with_one_file_of_it_is_that_file(self, tmp_path: Path, path: str) -> None:
        data = FILES["qwen.gguf"]
        place = "odd" if path == "odd" else f"hub/models--org--odd/snapshots/{'f' * 40}"
        entry = lender("x", "one.safetensors", text_encoder_path=path)
        files = {**FILES, f"{place}/q.gguf": data}
        machine = machine_of(tmp_path, Catalog({"x": entry}, {}, "x"), files)
        part = Part(Kind.TEXT_ENCODER, path)
        digest = sha256(data) if path == "odd" else part.hub_digest
        assert digest in needs(machine, "x")
        sending = machine.inventory.sent(digest)
        assert sending
        assert [(file.name, file.sha256) for file in sending.files] == [
            ("model.gguf", sha256(data))
        ]
        local = localise(sent(machine, "x", machine.catalog), machine.inventory)
        assert local.model is not None
        assert str(local.model.text_encoder_path).endswith("odd/q.gguf" if path == "odd" else path)

    def test_models_share_what_they_are_lent(self, here: Machine) -> None:
        assert len(needs(here, "one") & needs(here, "two")) == 3

    def test_the_same_weights_of_another_source_are_the_same(
        self, here: Machine, tmp_path: Path
    ) -> None:
        """Whatever its configuration says otherwise."""
        files = {
            **FILES,
            "source/text_encoder/config.json": b'{"dtype": "bfloat16"}',
            "source/vae/model.safetensors": VAE,
        }
        del files["source/vae/diffusion_pytorch_model.safetensors"]
        other = machine_of(tmp_path / "other", files=files)
        assert len(needs(here, "one") - needs(other, "one")) == 1

    def test_where_a_model_is_not_here_it_may_need_all(self, tmp_path: Path) -> None:
        entry = lender("far", "some-one/some-model", weight_name="x.safetensors")
        machine = machine_of(tmp_path, Catalog({"far": entry}, {}, "far"))
        assert len(needs(machine, "far")) == 4

    def test_the_header_of_a_file_is_read_again_when_it_has_changed(self, here: Machine) -> None:
        (here.models / "one.safetensors").write_bytes(FILES["whole.safetensors"])
        here.ready()
        assert sent(here).lent == {}

    def test_what_is_no_model_needs_no_more(self, here: Machine) -> None:
        """It fails for that, wherever it runs."""
        (here.models / "one.safetensors").write_bytes(b"no header")
        here.ready()
        assert sent(here).lent == {}

    def test_a_source_without_the_weights_is_told_as_ever(self, tmp_path: Path) -> None:
        files = {name: data for name, data in FILES.items() if "text_encoder/model-" not in name}
        machine = machine_of(tmp_path, files=files)
        with pytest.raises(JobFailed) as failed:
            sent(machine)
        assert failed.value.code == "model.incomplete"
        assert failed.value.params == {"model": "one", "part": "text_encoder"}

    def test_what_has_changed_is_not_sent_before_it_is_hashed(self, here: Machine) -> None:
        before = needs(here, "one")
        put(here.models, {f"source/text_encoder/{SHARDS[1]}": ENCODER[SHARDS[1]][:-1] + b"x"})
        here.inventory.update(MODELS)
        with pytest.raises(NotHashed, match="network one"):
            sent(here)
        here.ready()
        assert len(needs(here, "one") - before) == 1

    def test_weight_files_are_called_the_same_in_every_family(self) -> None:
        for family in FAMILIES.values():
            assert family.files.weights.items() <= WEIGHTS.items()
            assert family.lent.keys() <= family.files.weights.keys()


class TestExpected:
    @pytest.fixture
    def catalog(self) -> Catalog:
        """Each is completed by its own folder, and both are lent what is in that of one."""
        made = (
            lender(variant, "one.safetensors", config=None, variant=variant)
            for variant in ("turbo", "base")
        )
        return Catalog({entry.key: entry for entry in made}, {}, "turbo")

    @pytest.fixture
    def here(self, tmp_path: Path, catalog: Catalog) -> Machine:
        files = {name.replace("source/", f"{HUB}/"): data for name, data in FILES.items()}
        base = catalog.models["base"].completed_by
        configured = {name: data for name, data in PIPELINE.items() if name.endswith(".json")}
        files |= {f"{base}/{name}": data for name, data in configured.items()}
        return machine_of(tmp_path / "bot", catalog, files)

    @pytest.mark.parametrize("variant", ["turbo", "base"])
    def test_what_is_lent_is_of_the_lender_whatever_completes_the_model(
        self, here: Machine, catalog: Catalog, variant: str
    ) -> None:
        order = order_for(catalog, asked_for(variant))
        encoder = of_listing((name, sha256(data)) for name, data in ENCODER.items())
        right = {"text_encoder": encoder, "vae": sha256(VAE)}
        expected = expected_of(order, here.inventory)
        assert expected.parts == {network: {digest} for network, digest in right.items()}

        def said(parts: Mapping[str, str]) -> Recipe:
            found = (Weights(f"{HUB}/{name}", sha, sha[:10]) for name, sha in parts.items())
            checkpoint = sha256(FILES["one.safetensors"])
            return Recipe(
                request=order.request,
                checkpoint=Weights(variant, checkpoint, checkpoint[:10]),
                parts=tuple(found),
            )

        expected.check(said(right))
        for network in right:
            with pytest.raises(WireError, match=f"parts: it used {HUB}/{network}"):
                expected.check(said({**right, network: "0" * 64}))

    @pytest.mark.parametrize("path", ["qwen.gguf", "source", "source/text_encoder"])
    def test_a_text_encoder_of_its_own_is_named_and_compared(
        self, tmp_path: Path, path: str
    ) -> None:
        entry = lender("x", "one.safetensors", text_encoder_path=path)
        catalog = Catalog({"x": entry}, {}, "x")
        here = machine_of(tmp_path / "own", catalog)
        order = order_for(catalog, asked_for("x"))
        expected = expected_of(order, here.inventory)
        # As an engine has it: of the file, or of all by their names.
        below = "text_encoder/" if path == "source" else ""
        own = {name for name in PIPELINE if name.startswith("text_encoder/")}
        listed = ((name, sha256(PIPELINE[name])) for name in own)
        right = of_listing(
            (below + name.removeprefix("text_encoder/"), sha) for name, sha in listed
        )
        if path.endswith(".gguf"):
            right = sha256(FILES[path])
        assert expected.text_encoder == frozenset({right})
        assert expected.parts == {"vae": {sha256(VAE)}}

        def said(encoder: Weights | None) -> Recipe:
            vae = sha256(VAE)
            return Recipe(
                request=order.request,
                checkpoint=Weights("x", sha256(FILES["one.safetensors"]), ""),
                text_encoder=encoder,
                parts=(Weights("source/vae", vae, vae[:10]),),
            )

        expected.check(said(Weights("elsewhere", right, right[:10])))
        for wrong in (None, Weights("elsewhere", "0" * 64, "0" * 10)):
            with pytest.raises(WireError, match="text_encoder: "):
                expected.check(said(wrong))
        named = named_as(said(Weights("elsewhere", right, right[:10])), order)
        assert named.text_encoder == Weights(path, right, right[:10])


class TestFound:
    def test_a_worker_with_the_same_files_uses_its_own(self, here: Machine, tmp_path: Path) -> None:
        files = {name.replace("source/", "base/"): data for name, data in FILES.items()}
        there = machine_of(tmp_path / "there", offered(config="base"), files)
        local = localise(sent(here), there.inventory)
        assert local.model is not None
        assert local.model.config == str(there.models / "base")
        assert local.lent == {
            "text_encoder": str(there.models / "base/text_encoder"),
            "vae": str(there.models / "base/vae"),
        }
        assert lacks_of(sent(here), there.inventory) == []

    def test_a_text_encoder_is_found_by_what_is_in_it(self, here: Machine, tmp_path: Path) -> None:
        files = {name.replace("qwen", "other name"): data for name, data in FILES.items()}
        own = lender("x", "one.safetensors", text_encoder_path="other name.gguf")
        there = machine_of(tmp_path / "there", Catalog({"x": own}, {}, "x"), files)
        local = localise(sent(here, "other-encoder"), there.inventory)
        assert local.model is not None
        assert local.model.text_encoder_path == str(there.models / "other name.gguf")
        lacking = machine_of(tmp_path / "lacking", EMPTY, {}).inventory
        lacks = {lack.kind: lack for lack in lacks_of(sent(here, "other-encoder"), lacking)}
        assert lacks[Kind.TEXT_ENCODER].digest == sha256(FILES["qwen.gguf"])
        assert lacks[Kind.TEXT_ENCODER].key == "other-encoder"

    def test_what_another_lacks_is_named_by_its_model(self, here: Machine, tmp_path: Path) -> None:
        files = {name: data for name, data in FILES.items() if "vae/diff" not in name}
        there = machine_of(tmp_path / "there", files=files)
        [lack] = lacks_of(sent(here), there.inventory)
        assert (lack.kind, lack.key, lack.digest) == (Kind.NETWORK, "one", sha256(VAE))
        assert not lack.on_hub


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

    @pytest.mark.parametrize("key", ["one", "two"])
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

        async def test_the_rest_is_left_to_the_engine(self, site: Site) -> None:
            local = await site.complete(sent(site.bot, catalog=site.bot.catalog))
            assert local.model is not None
            assert local.model.config == HUB
            assert local.lent["text_encoder"] == HUB
            assert [*weights_in(local.lent["vae"]).values()] == [VAE]
            assert site.bot.inventory.holding(Part(Kind.CONFIG, HUB).hub_digest)
