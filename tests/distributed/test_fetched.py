"""The folder of fetched parts: what is kept, what makes room, and who else uses it."""

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.distributed import fetching as fetching_module
from bot.distributed.fetched import LOCK, PARTIAL, Fetched, SentFile
from bot.distributed.parts import Kind
from bot.distributed.source import FetchFailed
from bot.distributed.uses import USED
from bot.order import Order
from tests.distributed.bot_files import cutting
from tests.distributed.machines import BOT, Machine, everything, put, sha256
from tests.distributed.site import (
    DIGEST,
    FILE,
    PLAIN,
    WITH_A_SERVER,
    Heard,
    Site,
    completed,
    read,
)

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
WITH_INK = replace(PLAIN, adapters=everything().adapters[:1])


def keep(fetched: Fetched, digest: str, size: int) -> None:
    sent = SentFile("model.safetensors", size, "0" * 64)
    with fetched.alone(never):
        path = fetched.partial(sent.sha256)
        path.write_bytes(b"x" * size)
        fetched.keep(digest, Kind.MODEL, [(sent, path)])


def makes_room(fetched: Fetched, size: int) -> bool:
    with fetched.alone(never):
        return fetched.make_room(size)


def never() -> None:
    """Nothing ends the waiting."""


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def weights_in(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*/**/*") if path.is_file()]


@WITH_A_SERVER
class TestRoom:
    async def test_what_was_not_used_for_longest_makes_room(self, site: Site) -> None:
        fetched = site.worker.fetched
        assert fetched is not None
        first = await site.complete()
        assert first.model is not None
        ink = replace(PLAIN, model="folder", adapters=everything().adapters[:1])
        second = await site.complete(site.order(ink))
        for digest, day in ((DIGEST, 2), (sha256(BOT["loras/ink.safetensors"]), 1)):
            os.utime(site.folder / f"{digest}.json", (day, day))
        fetched.limit = sum(len(read(str(path))) for path in weights_in(site.folder))
        assert makes_room(fetched, 10)
        # The LoRA goes, as it was not used for longest.
        with pytest.raises(FileNotFoundError):
            read(second.adapters[0].path)
        assert read(first.model.path) == BOT[FILE]
        assert len(fetched.digests) == 2

    async def test_no_part_of_an_order_makes_room_for_another(self, site: Site) -> None:
        """Although it was fetched last week."""
        await site.complete()
        os.utime(site.folder / f"{DIGEST}.json", (1, 1))
        site.worker.fetched.limit = len(BOT[FILE]) + 100  # type: ignore[union-attr]
        with pytest.raises(FetchFailed) as failed:
            await site.complete(site.order(WITH_INK))
        assert failed.value.code == "part.too_large"
        assert site.worker.fetched.digests == {DIGEST}  # type: ignore[union-attr]

    async def test_what_a_job_uses_makes_no_room_until_it_is_over(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of the other card of the same worker, say."""
        monkeypatch.setattr(fetching_module, "ROOM_LOOK", 0.01)
        fetched, fetcher, over = site.worker.fetched, site.fetcher(), threading.Event()
        assert fetched is not None
        fetched.limit = len(BOT[FILE]) + 100

        def paint(order: Order) -> bytes:
            with fetcher.complete(order, site.heard.report, site.heard.check_stop) as local:
                over.wait(20)
                return read(local.model.path if local.model else None)

        painting = asyncio.create_task(asyncio.to_thread(paint, site.order()))
        await until(lambda: DIGEST in fetched.digests)
        heard, folder = Heard(), site.order(replace(PLAIN, model="folder"))
        waiting = asyncio.create_task(asyncio.to_thread(completed, fetcher, folder, heard))
        await until(lambda: len(heard.reports) >= 5)
        over.set()
        assert await painting == BOT[FILE]
        await waiting
        fetcher.close()
        assert DIGEST not in fetched.digests

    async def test_it_does_not_wait_for_ever(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetching_module, "ROOM_LOOK", 0.01)
        monkeypatch.setattr(fetching_module, "ROOM_LOOKS", 3)
        await site.complete()
        fetched = site.worker.fetched
        assert fetched is not None
        fetched.limit = len(BOT[FILE]) + 100
        with fetched.used([DIGEST]), pytest.raises(FetchFailed) as failed:
            await site.complete(site.order(replace(PLAIN, model="folder")))
        assert failed.value.code == "part.no_room"


class TestFolder:
    def test_what_is_used_stays(self, tmp_path: Path) -> None:
        fetched = Fetched(tmp_path, 20)
        keep(fetched, A, 10)
        keep(fetched, B, 10)
        with fetched.used([A]):
            with fetched.used([A, B]):
                assert not makes_room(fetched, 5)
            assert fetched.digests == {A, B}
            assert makes_room(fetched, 5)
            assert fetched.digests == {A}
        assert makes_room(fetched, 15)
        assert fetched.digests == frozenset()

    def test_what_is_not_whole_does_not_survive_a_restart(self, tmp_path: Path) -> None:
        fetched = Fetched(tmp_path, 100)
        for digest in (A, B, C, D):
            keep(fetched, digest, 10)
        (tmp_path / f"{A}.json").unlink()  # the process ended before it was written
        (tmp_path / f"{B}/model.safetensors").write_bytes(b"other")
        (tmp_path / f"{C}.json").write_bytes(b"{}")
        put(tmp_path, {".draft-1/model.safetensors": b"half"})
        assert Fetched(tmp_path, 100).digests == {D}
        left = {path.name for path in tmp_path.iterdir()}
        assert left - {LOCK, USED} == {PARTIAL, D, f"{D}.json"}

    def test_what_was_changed_is_fetched_again(self, tmp_path: Path) -> None:
        fetched = Fetched(tmp_path, 100)
        keep(fetched, A, 10)
        assert fetched.find(A)
        (tmp_path / f"{A}/model.safetensors").write_bytes(b"other")
        assert fetched.find(A) is None
        assert fetched.digests == frozenset()

    def test_a_folder_that_cannot_be_read_has_nothing_for_now(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        put(tmp_path, {"fetched": b"a file"})
        assert Fetched(tmp_path / "fetched", 100).digests == frozenset()
        assert "cannot be read" in caplog.text


class TestShared:
    """By two processes, each with a `Fetched` of its own."""

    def test_what_one_has_fetched_the_other_has(self, tmp_path: Path) -> None:
        one, other = Fetched(tmp_path, 100), Fetched(tmp_path, 100)
        keep(one, A, 10)
        assert other.digests == {A}
        assert other.find(A)
        assert makes_room(other, 95)
        assert one.find(A) is None
        assert one.digests == frozenset()
        keep(other, A, 10)
        assert one.find(A)

    def test_what_the_other_uses_makes_no_room(self, tmp_path: Path) -> None:
        one, other = Fetched(tmp_path, 20), Fetched(tmp_path, 20)
        keep(one, A, 10)
        with other.used([A]):
            assert not makes_room(one, 15)
            assert other.find(A)
        assert makes_room(one, 15)
        assert list((tmp_path / USED).iterdir()) == []

    def test_nor_does_what_it_begins_to_use_meanwhile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetched, in_use = Fetched(tmp_path, 20), iter([False, True])
        keep(fetched, A, 10)
        monkeypatch.setattr(fetched._uses, "has", lambda _: next(in_use))
        assert not makes_room(fetched, 15)
        assert fetched.find(A)
        assert Fetched(tmp_path, 20).find(A)

    def test_who_was_killed_uses_nothing(self, tmp_path: Path) -> None:
        fetched = Fetched(tmp_path, 20)
        keep(fetched, A, 10)
        put(tmp_path, {f"{USED}/{A}.0123abcd": b""})
        assert makes_room(fetched, 15)
        assert list((tmp_path / USED).iterdir()) == []

    def test_who_starts_meanwhile_leaves_alone_what_is_being_fetched(self, tmp_path: Path) -> None:
        begun = {".draft-1/model.safetensors": b"half", f"{A}/model.safetensors": b"no note yet"}
        with Fetched(tmp_path, 100).alone(never):
            put(tmp_path, begun)
            Fetched(tmp_path, 100)
            assert all((tmp_path / name).is_file() for name in begun)
        Fetched(tmp_path, 100)
        assert not any((tmp_path / name).exists() for name in begun)

    @WITH_A_SERVER
    async def test_only_one_writes_to_a_file(self, site: Site) -> None:
        """What both wrote has the right digest for each, until it is read again."""
        held, heard = asyncio.Event(), Heard()
        there = Machine(site.worker.home, fetched=Fetched(site.folder, 2**30)).ready()
        async with cutting(site.http.url, [-1, 400_000, -1], held) as way:
            first = asyncio.create_task(site.complete(url=way))
            await until(lambda: any(site.partial()))
            other = site.fetcher(way, worker=there)
            work = asyncio.to_thread(completed, other, site.order(), heard)
            second = asyncio.create_task(work)
            await until(lambda: len(heard.reports) >= 5 or second.done())
            held.set()
            one, two = await first, await second
        other.close()
        assert one == two
        assert one.model is not None
        assert read(one.model.path) == BOT[FILE]
