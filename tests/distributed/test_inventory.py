"""Which parts a machine has, by digest."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bot.distributed import inventory as inventory_module
from bot.distributed.bundles import is_folder_of
from bot.distributed.inventory import UNKNOWN
from bot.distributed.parts import Kind, Part, part_of_model, parts_of_model
from bot.engine.hashing import HashCache, of_listing
from catalog import Catalog
from catalog.families import FAMILIES
from tests.catalog.fixed import Fixed
from tests.distributed.machines import (
    BOT,
    BOTS,
    CONFIG,
    Machine,
    bot,
    everything,
    model,
    pipeline,
    put,
    sha256,
    worker,
)
from tests.store.factories import request

CONFIGURATIONS = sum(len(family.configs) + len(family.lent) for family in FAMILIES.values())
"""Parts of every catalog: of each family, its configurations and what comes with the first."""


def digest_of(machine: Machine, kind: Kind, path: str, **more: Any) -> str | None:
    return machine.inventory.digest_of(Part(kind, path, **more))


class TestDigests:
    def test_a_file_is_known_by_its_bytes(self, tmp_path: Path) -> None:
        machine = bot(tmp_path).ready()
        path = "checkpoints/plain.safetensors"
        assert digest_of(machine, Kind.MODEL, path) == sha256(BOT[path])
        assert machine.inventory.file(sha256(BOT[path])) is not None

    def test_several_are_known_as_the_recipe_knows_them(self, tmp_path: Path) -> None:
        """By what `sha256sum` prints for them."""
        machine = bot(tmp_path).ready()
        names = ("adapter_model.safetensors", "adapter_config.json")
        listed = of_listing((name, sha256(BOT[f"peft/{name}"])) for name in names)
        assert digest_of(machine, Kind.ADAPTER, f"peft/{names[0]}") == listed
        folder = of_listing((name, sha256(data)) for name, data in pipeline("folder").items())
        assert digest_of(machine, Kind.MODEL, "folder") == folder

    def test_the_same_parts_are_the_same_on_every_machine(self, tmp_path: Path) -> None:
        here, there = bot(tmp_path / "a").ready(), worker(tmp_path / "b").ready()
        assert here.inventory.digests == there.inventory.digests
        # Two models of files, two more with a VAE or of a folder, and one of each of the others.
        assert len(here.inventory.digests) == 15 + CONFIGURATIONS

    @pytest.mark.parametrize(
        "changed",
        [
            "checkpoints/Big Model v1.yaml",  # says how it was trained
            "folder/tokenizer/merges.txt",
            "folder/tokenizer/spiece.model",
            "vae/config.json",
            "configs/unet/config.json",
            "peft/adapter_config.json",
            "embeddings/hands-2.safetensors",
            "guide/models/image_encoder/config.json",
        ],
    )
    def test_whatever_else_is_read_counts(self, tmp_path: Path, changed: str) -> None:
        here = bot(tmp_path).ready().inventory.digests
        (tmp_path / "models" / changed).write_bytes(b"{ }")
        other = Machine(tmp_path, BOTS).ready().inventory.digests
        assert len(here - other) == 1

    @pytest.mark.parametrize(
        "beside",
        [
            "configs/unet/other.safetensors",  # no weights are read of a configuration
            "vae/unet/diffusion_pytorch_model.safetensors",
            "folder/README.md",
            "folder/._model_index.json",
            "checkpoints/plain.txt",
        ],
    )
    def test_and_nothing_else(self, tmp_path: Path, beside: str) -> None:
        here = bot(tmp_path).ready().inventory.digests
        put(tmp_path / "models", {beside: b"other"})
        assert Machine(tmp_path, BOTS).ready().inventory.digests == here

    @pytest.mark.parametrize("beside", [(), ("checkpoints/small.yaml",)])
    def test_a_gguf_file_is_sent_as_one(self, tmp_path: Path, beside: tuple[str, ...]) -> None:
        path = "checkpoints/small.gguf"
        put(tmp_path / "models", dict.fromkeys((path, *beside), b"numbers"))
        offered = Catalog({"small": model("small", path)}, {}, "small")
        machine = Machine(tmp_path, offered).ready()
        part, config = parts_of_model(offered.models["small"])
        assert config == Part(Kind.CONFIG, CONFIG)
        digest = machine.inventory.digest_of(part)
        assert digest is not None
        sent = machine.inventory.sent(digest)
        assert sent is not None
        assert {file.name for file in sent.files} == {"model.gguf", *("model.yaml" for _ in beside)}

    def test_what_is_on_the_hub_is_known_before_it_is_here(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path, BOTS)
        machine.inventory.update(BOTS)
        part, config = parts_of_model(BOTS.models["hub"])
        assert part.weight_name == "x.safetensors"
        assert config == Part(Kind.CONFIG, CONFIG)
        digest = machine.inventory.digest_of(part)
        assert digest == part.hub_digest
        assert digest in machine.inventory.digests
        held = machine.inventory.holding(digest)
        assert held is not None
        assert held.opened == part
        assert machine.inventory.sent(digest) is None  # it is not here to be sent
        others = [Part(part.kind, part.path, part.weight_name, rev) for rev in (None, "a" * 40)]
        assert len({part.hub_digest, *(other.hub_digest for other in others)}) == 3

    def test_what_is_in_the_cache_of_the_hub_is_not_hashed_again(self, tmp_path: Path) -> None:
        """Its cache names large files by their digest; only the small ones are read."""
        data = b"weights"
        cache = tmp_path / "models/hub/models--some-one--some-model"
        put(cache, {f"blobs/{sha256(data)}": b"not even looked at"})
        snapshot = cache / "snapshots" / ("f" * 40)
        snapshot.mkdir(parents=True)
        (snapshot / "x.safetensors").symlink_to(Path("../../blobs") / sha256(data))
        machine = Machine(tmp_path, Catalog({"hub": BOTS.models["hub"]}, {}, "hub"))
        machine.inventory.update(machine.catalog)
        sent = machine.inventory.sent(parts_of_model(BOTS.models["hub"])[0].hub_digest)
        assert sent is not None
        assert sent.hub
        assert [(file.name, file.sha256) for file in sent.files] == [
            ("model.safetensors", sha256(data))
        ]


class TestReplaced:
    """Models in diffusers' layout whose entries name other networks."""

    OWN = ("text_encoder", "vae")

    @staticmethod
    def entry(path: str, *networks: str) -> Any:
        instead = {f"{network}_path": f"{network}.safetensors" for network in networks}
        return model("x", path, family="zimage", **instead)

    @pytest.fixture
    def files(self) -> dict[str, bytes]:
        own = {
            f"{network}/{name}": f"{network} {name}".encode()
            for network in self.OWN
            for name in ("config.json", "model.safetensors", "model.safetensors.index.json")
        }
        return {"model_index.json": b"{}", "transformer/model.safetensors": b"t", **own}

    @staticmethod
    def machine(home: Path, *entries: Any, files: dict[str, bytes], folder: str) -> Machine:
        put(home / "models", {f"{folder}/{name}": data for name, data in files.items()})
        offered = {f"{number}": entry for number, entry in enumerate(entries)}
        return Machine(home, Catalog(offered, {}, "0")).ready()

    @pytest.mark.parametrize("networks", [("vae",), ("text_encoder",), OWN])
    def test_who_has_the_whole_model_has_it_without_them(
        self, tmp_path: Path, files: dict[str, bytes], networks: tuple[str, ...]
    ) -> None:
        without = {
            name: data
            for name, data in files.items()
            if not name.startswith(networks) or name.endswith("config.json")
        }
        less, whole = self.entry("a", *networks), self.entry("b")
        one = self.machine(tmp_path / "1", less, files=files, folder="a")
        bare = self.machine(tmp_path / "2", less, files=without, folder="a")
        other = self.machine(tmp_path / "3", whole, files=files, folder="b")
        parts = [part_of_model(entry) for entry in (less, whole)]
        digest = one.inventory.digest_of(parts[0])
        listed = of_listing((name, sha256(data)) for name, data in without.items())
        assert digest == bare.inventory.digest_of(parts[0]) == listed
        sent = one.inventory.sent(listed)
        assert sent is not None
        assert {file.name for file in sent.files} == without.keys()
        held = other.inventory.holding(listed)
        assert held is not None
        assert held.opened.path == str(tmp_path / "3/models/b")
        own = other.inventory.digest_of(parts[1])
        assert own is not None
        assert not bare.inventory.owns(own)
        assert not one.inventory.owns(own)

    def test_on_the_hub_as_well(self, tmp_path: Path) -> None:
        less, whole = (self.entry("org/x", *networks) for networks in (self.OWN, ()))
        digests = [part_of_model(entry).hub_digest for entry in (less, whole)]
        assert digests[0] != digests[1]
        for entry, held in ((less, {digests[0]}), (whole, {*digests})):
            known = self.machine(tmp_path / entry.path, entry, files={}, folder="x").inventory
            assert known.digests & {*digests} == held

    def test_what_is_not_read_is_not_to_be_downloaded(self, tmp_path: Path) -> None:
        files = FAMILIES["zimage"].files
        here = {files.index: b"{}", "transformer/diffusion_pytorch_model.safetensors": b"t"}
        needed = dict.fromkeys(files.folders, "config.json")
        needed |= {"scheduler": "scheduler_config.json", "tokenizer": "tokenizer_config.json"}
        here |= {f"{folder}/{name}": b"{}" for folder, name in needed.items()}
        snapshot = f"hub/models--org--x/snapshots/{'f' * 40}"
        less, whole = (self.entry("org/x", *networks) for networks in (self.OWN, ()))
        machine = self.machine(tmp_path, less, whole, files=here, folder=snapshot)
        found = [machine.inventory.owns(part_of_model(entry).hub_digest) for entry in (less, whole)]
        assert found == [True, False]


class TestNeeds:
    def test_all_that_a_request_names(self, tmp_path: Path) -> None:
        here, there = bot(tmp_path / "a").ready(), worker(tmp_path / "b").ready()
        needs = here.inventory.needs_of(everything(), BOTS)
        assert len(set(needs)) == len(needs) == 12
        assert set(needs) <= there.inventory.digests
        assert not here.inventory.needs_of(request(model="", adapters=()), BOTS)

    def test_nobody_has_what_is_not_hashed_yet(self, tmp_path: Path) -> None:
        machine = bot(tmp_path)
        machine.inventory.update(BOTS)
        needs = machine.inventory.needs_of(everything(), BOTS)
        assert UNKNOWN in needs
        assert UNKNOWN not in machine.inventory.digests
        assert UNKNOWN not in machine.ready().inventory.digests
        assert UNKNOWN not in machine.inventory.needs_of(everything(), BOTS)

    def test_what_an_order_waits_for_is_hashed_first(self, tmp_path: Path) -> None:
        machine = bot(tmp_path)
        machine.inventory.update(BOTS)
        asked = request(model="", adapters=(), upscale=everything().upscale)
        assert machine.inventory.needs_of(asked, BOTS) == (UNKNOWN,)
        assert machine.inventory.hash_next()
        assert machine.inventory.needs_of(asked, BOTS) == (sha256(BOT["upscalers/4x.safetensors"]),)

    def test_a_job_whose_files_are_gone_may_run_and_fail_anywhere(self, tmp_path: Path) -> None:
        machine = bot(tmp_path)
        (tmp_path / "models/loras/ink.safetensors").unlink()
        machine.ready()
        assert UNKNOWN not in machine.inventory.needs_of(everything(), BOTS)
        assert machine.inventory.needs_of(request(model="gone", adapters=()), BOTS) == ()


class TestKeeping:
    def test_nothing_is_hashed_again_at_the_next_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = bot(tmp_path).ready().inventory.digests
        monkeypatch.setattr(HashCache, "of_file", None)
        assert Machine(tmp_path, BOTS).ready().inventory.digests == before

    def test_a_file_that_has_changed_is_another(self, tmp_path: Path) -> None:
        machine = bot(tmp_path).ready()
        name = "loras/ink.safetensors"
        old = sha256(BOT[name])
        (tmp_path / "models" / name).write_bytes(b"other" * 300)
        assert machine.inventory.holding(old) is None  # although nobody has looked again yet
        machine.ready()
        assert old not in machine.inventory.digests
        assert sha256(b"other" * 300) in machine.inventory.digests

    def test_a_file_that_cannot_be_read_holds_up_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine, real = bot(tmp_path), HashCache.of_file
        broken = sha256(BOT["loras/ink.safetensors"])

        def failing(self: HashCache, path: Path, tick: Any) -> str:
            if path.name == "ink.safetensors":
                raise OSError(5, "Input/output error")
            return real(self, path, tick)

        monkeypatch.setattr(HashCache, "of_file", failing)
        machine.ready()
        assert broken not in machine.inventory.digests
        assert len(machine.inventory.digests) == 14 + CONFIGURATIONS
        assert UNKNOWN in machine.inventory.needs_of(everything(), BOTS)
        monkeypatch.undo()
        assert broken in machine.ready().inventory.digests

    async def test_it_keeps_up_with_the_catalog(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inventory_module, "EVERY", 0.01)
        machine = bot(tmp_path)
        live: Any = Fixed(Catalog({"plain": BOTS.models["plain"]}, {}, "plain"))
        keeping = asyncio.create_task(machine.inventory.keep(live))
        try:
            async with asyncio.timeout(30):
                while len(machine.inventory.digests) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                live.current = BOTS
                while len(machine.inventory.digests) < 12:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def test_it_ends_in_the_middle_of_a_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine, begun = bot(tmp_path), asyncio.Event()
        loop = asyncio.get_running_loop()

        def endless(_: HashCache, path: Path, tick: Any) -> str:
            loop.call_soon_threadsafe(begun.set)
            while True:
                tick(0.5)
                time.sleep(0.001)

        monkeypatch.setattr(HashCache, "of_file", endless)
        keeping = asyncio.create_task(machine.inventory.keep(Fixed(BOTS)))  # type: ignore[arg-type]
        async with asyncio.timeout(30):
            await begun.wait()
            keeping.cancel()
            await asyncio.wait([keeping])
        assert keeping.cancelled()


def test_two_processes_keep_their_digests_in_one_file(tmp_path: Path) -> None:
    files = [put(tmp_path, {name: name.encode()}) / name for name in ("a", "b")]
    book = tmp_path / "hashes.json"
    one, other = HashCache(book), HashCache(book)
    one.of_file(files[0], lambda _: None)
    other.of_file(files[1], lambda _: None)

    def never(_: float) -> None:
        raise AssertionError("hashed again")

    assert one.of_file(files[1], never) == sha256(b"b")
    assert other.of_file(files[0], never) == sha256(b"a")
    assert all(HashCache(book).whole(file) for file in files)


@pytest.mark.long
def test_nothing_of_an_engine_or_a_broker_is_imported() -> None:
    modules = ("inventory", "localising", "fetched", "fetching")
    code = "; ".join(f"import bot.distributed.{name}" for name in modules)
    code += "; import sys; print(sorted({'torch', 'diffusers', 'saq', 'redis'} & {*sys.modules}))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert ran.stdout.strip() == "[]"


def test_a_model_that_is_a_file_needs_its_familys_configuration() -> None:
    assert parts_of_model(model("x", "x.safetensors"))[1] == Part(Kind.CONFIG, CONFIG)
    assert len(parts_of_model(model("x", "folder"))) == 1


@pytest.mark.parametrize("index", ["model_index.json", "modular_model_index.json"])
def test_a_model_with_a_list_of_its_parts_is_a_folder(index: str) -> None:
    assert is_folder_of(Kind.MODEL, [index, "vae/model.safetensors"])
    assert not is_folder_of(Kind.MODEL, ["x.safetensors"])
