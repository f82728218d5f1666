"""Files that are not known yet are read after the start, and change nothing that is offered."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path, PurePosixPath

import pytest

from catalog import AdapterEntry, Catalog, KeptFacts, LiveCatalog, read_catalog, read_with_progress
from catalog import live as live_module
from catalog.dropins import Keys
from catalog.headers import HeaderCache, Reading
from catalog.live import BATCH, FEW, Pace
from catalog.reading import Read, ReaderGone
from catalog.unread import Unread
from catalog.weight_files import HeaderError
from tests.catalog.home import Home, checkpoint_bytes
from tests.catalog.test_embeddings import embedding_bytes

NOTHING = Pace(0, 0, 0)
BOTH = {"clip_l": (2, 768), "clip_g": (2, 1280)}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def facts(home: Home) -> KeptFacts:
    return KeptFacts(home.root / "data" / "facts.jsonl")


def start(home: Home, pace: Pace = NOTHING) -> LiveCatalog:
    return LiveCatalog(home.catalog_dir, home.models_dir, kept=facts(home), pace=pace)


def loras(home: Home, count: int) -> list[str]:
    keys = [f"style-{n:03}" for n in range(count)]
    for key in keys:
        home.weights(f"loras/{key}.safetensors", {"modelspec.title": key.title()})
    return keys


@contextlib.asynccontextmanager
async def watched(live: LiveCatalog) -> AsyncIterator[None]:
    watching = asyncio.create_task(live.watch(0.01))
    try:
        async with asyncio.timeout(120):
            yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 – the catalog tells no one
        await asyncio.sleep(0.01)


async def all_read(live: LiveCatalog) -> Catalog:
    async with watched(live):
        await until(lambda: not live.current.unread)
    return live.current


def same(one: Catalog, other: Catalog) -> bool:
    names = ("models", "adapters", "problems", "adapter_facts", "unfit_models", "default")
    embeddings = one.embeddings.entries == other.embeddings.entries
    return embeddings and all(getattr(one, name) == getattr(other, name) for name in names)


@pytest.mark.parametrize("count", [3, FEW + 10])
async def test_everything_is_there_in_the_end(
    home: Home, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    keys = loras(home, count)
    home.put(home.models_dir / "loras" / "style-000.json", b'{"activation text": "inky"}')
    home.put(home.models_dir / "loras" / "broken.safetensors", b"\0" * 20)
    home.put(home.models_dir / "loras" / "word.safetensors", embedding_bytes(BOTH))
    home.weights("checkpoints/another.safetensors")
    home.write(loras='[loras.own]\nname = "Own"\npath = "loras/style-001.safetensors"\n')
    live = start(home)
    assert [*live.current.adapters] == ["own"]
    assert (live.current.files_read, live.current.files) == (1, count + 3)
    with caplog.at_level(logging.INFO):
        async with watched(live):
            await until(lambda: not live.current.unread)
            await until(lambda: count <= FEW or "model files are read" in caplog.text)
    read = live.current
    assert same(read, home.read())
    assert {*read.adapters} == {"own", *keys} - {"style-001"}
    assert read.adapters["style-000"].trigger_words == ("inky",)
    assert ("in the background" in caplog.text) == (count > FEW)


async def test_they_are_read_here_where_no_process_can_be_started(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keys = loras(home, FEW + 1)

    @contextlib.asynccontextmanager
    async def none() -> AsyncIterator[Read]:
        if keys:
            raise ReaderGone("no room")
        yield live_module.LiveCatalog._read_here  # type: ignore[misc]

    monkeypatch.setattr(live_module, "reading_process", none)
    assert [*(await all_read(start(home))).adapters] == keys
    assert "no room" in caplog.text


async def test_they_are_read_here_once_the_process_has_ended(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @contextlib.asynccontextmanager
    async def dying() -> AsyncIterator[Read]:
        async def read(_: object) -> list[object]:
            raise ReaderGone("exit code -9")

        yield read  # type: ignore[misc]

    monkeypatch.setattr(live_module, "reading_process", dying)
    keys = loras(home, FEW + 1)
    assert [*(await all_read(start(home))).adapters] == keys
    assert "exit code -9" in caplog.text


async def test_what_a_text_names_is_read_at_once(home: Home) -> None:
    loras(home, 5)
    live = start(home)
    catalog = await live.knowing("a fox <lora:Style 003:0.5>", None)
    assert [*catalog.adapters] == ["style-003"]
    assert len(catalog.unread) == 4
    assert await live.knowing("a fox") is catalog


def test_a_crash_costs_nothing_that_was_read(home: Home) -> None:
    loras(home, 5)
    live = start(home)
    asyncio.run(live.knowing("style-001 style-004"))
    again = start(home)  # the first one never came to an end
    assert [*again.current.adapters] == ["style-001", "style-004"]


async def test_what_is_read_is_kept_before_it_is_offered(home: Home) -> None:
    loras(home, BATCH + 1)
    live = start(home, Pace(0, 0, 600))

    async def read(batch: Sequence[Unread]) -> list[Reading]:
        if len(batch) < BATCH:
            raise RuntimeError("killed")
        return [reading for one in batch for reading in HeaderCache().read(one)]

    with pytest.raises(RuntimeError):
        await live._read_with(read)
    assert not live.current.adapters
    assert len(start(home).current.adapters) == BATCH


def test_what_is_read_is_appended(home: Home) -> None:
    loras(home, 5)
    live = start(home)
    file = home.root / "data" / "facts.jsonl"
    before, inode = file.read_bytes(), file.stat().st_ino
    asyncio.run(live.knowing("style-001"))
    assert file.stat().st_ino == inode
    assert file.read_bytes().startswith(before)
    assert file.read_bytes().count(b"\n") == before.count(b"\n") + 1


def test_a_damaged_line_costs_one_file(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    loras(home, 5)
    start(home).read_rest()
    file = home.root / "data" / "facts.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"Style-002"', b'"Style-009"')[:-9])
    live = start(home)
    assert "damaged" in caplog.text
    assert [*live.current.adapters] == ["style-000", "style-001", "style-003"]
    live.read_rest()
    assert sorted(file.read_bytes().splitlines()) == sorted(whole.splitlines())


def read_only(home: Home, names: Iterable[str]) -> Catalog:
    headers = HeaderCache()
    for name in names:
        with contextlib.suppress(HeaderError):
            headers.facts(home.models_dir / "loras" / name)
    headers.hurry(0)
    return read_catalog(home.catalog_dir, home.models_dir, headers=headers)


def files_of(adapters: Mapping[str, AdapterEntry]) -> list[str]:
    return [PurePosixPath(entry.path).name for entry in adapters.values()]


def test_a_key_means_the_same_file_whichever_are_read(home: Home) -> None:
    names = ["Ink.safetensors", "ink-2.safetensors", "ink.safetensors", "ink_.safetensors"]
    for name in names:
        home.weights(f"loras/{name}")
    home.put(home.models_dir / "loras" / "INK.safetensors", b"broken")
    home.put(home.models_dir / "loras" / "iNK.safetensors", embedding_bytes(BOTH))
    names += ["INK.safetensors", "iNK.safetensors"]
    whole = home.read().adapters
    assert len(whole) == 4
    offered = 0
    for count in range(len(names) + 1):
        for some in combinations(names, count):
            catalog = read_only(home, some)
            part = catalog.adapters
            assert part.items() <= whole.items(), some
            said = {*files_of(part), *(one.file.name for one in catalog.unread)}
            assert {*files_of(whole)} <= said, "nothing is neither offered nor still to be read"
            offered += len(part)
    assert offered > len(whole)


def test_keys_are_held_back_for_as_long_as_they_may_change() -> None:
    keys = Keys(["used"])
    keys.reserve("ink")
    assert keys.take("Ink") is None
    assert keys.take("ink-2") is None
    assert keys.take("used") == "used-2"
    assert keys.take("wash") == "wash"


def test_a_model_is_offered_once_its_file_is_read(home: Home) -> None:
    files = ["one", "two"]
    tables = "".join(
        f'[models.{key}]\nname = "{key}"\npath = "elsewhere/{key}.safetensors"\n' for key in files
    )
    for key in files:
        home.put(home.models_dir / "elsewhere" / f"{key}.safetensors", checkpoint_bytes())
    home.write('default = "two"\n' + tables)
    live = start(home)
    assert [*live.current.models] == ["two"]
    assert live.current.default == "two"
    assert live.current.problems == ()
    catalog = asyncio.run(live.knowing("one"))
    assert [*catalog.models] == ["one", "two"]
    assert catalog.unread == ()


def test_an_embedding_in_two_files_and_a_folder_are_kept(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, width in (("toy.safetensors", 768), ("toy_2.safetensors", 1280)):
        home.put(home.models_dir / "embeddings" / name, embedding_bytes({"<toy>": (width,)}))
    home.put(home.models_dir / "base" / "model_index.json", b'{"_class_name": "StableDiffusion3"}')
    home.write('default = "base"\n[models.base]\nname = "Base"\npath = "base"\n')
    before = start(home, Pace(60, 60, 0)).current
    assert before.embeddings.entries["toy"].second == "toy_2.safetensors"
    assert before.unfit_models["base"].what

    def never(*_: object) -> None:
        raise AssertionError

    for name in ("read_header", "read_model_header", "folder_facts"):
        monkeypatch.setattr(f"catalog.headers.{name}", never)
    again = start(home).current
    assert same(again, before)
    assert again.unread == ()


def test_an_embedding_in_two_files_is_not_offered_by_halves(home: Home) -> None:
    for name, width in (("toy.safetensors", 768), ("toy_2.safetensors", 1280)):
        home.put(home.models_dir / "embeddings" / name, embedding_bytes({"<toy>": (width,)}))
    headers = HeaderCache()
    for name in ("toy.safetensors", "toy_2.safetensors"):
        headers.embedding(home.models_dir / "embeddings" / name)
    headers.hurry(0)
    assert not read_catalog(home.catalog_dir, home.models_dir, headers=headers).embeddings.entries
    live = start(home)
    assert not live.current.embeddings.entries
    live.read_rest()
    assert [*live.current.embeddings.entries] == ["toy"]
    assert same(live.current, home.read())


def test_progress_is_told_for_each_unknown_file(home: Home) -> None:
    loras(home, 3)
    start(home).read_rest()
    home.weights("loras/new.safetensors")
    home.weights("loras/other.safetensors")
    told: list[tuple[int, int]] = []
    kept = (home.root / "data" / "facts.jsonl").read_bytes()
    for _ in range(2):
        read = read_with_progress(
            home.catalog_dir,
            home.models_dir,
            demos="hidden",
            headers=facts(home).load(),
            told=lambda *how_far: told.append(how_far),
        )
        assert same(read, home.read())
    assert told == [(3, 5), (4, 5), (5, 5)] * 2
    assert (home.root / "data" / "facts.jsonl").read_bytes() == kept
