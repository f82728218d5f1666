"""Thumbnails are made once, take bounded room, and go with their images."""

import asyncio
import os
from pathlib import Path

import pytest
from PIL import Image

from bot.files import thumbnails
from bot.files.erasing import erase
from bot.files.thumbnails import SIDE, Thumbnails, prune_thumbnails, thumbnail_of
from bot.store import Store
from tests.files.keeping import housekeeping, painted
from tests.store.factories import record


def picture(folder: Path, name: str = "a/a.png", size: tuple[int, int] = (640, 320)) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", size, (200, 10, 10, 255)).save(path)
    return path


async def test_one_is_made_once(tmp_path: Path) -> None:
    path, made = picture(tmp_path), Thumbnails(tmp_path)
    data = await made.of("abc", record(path="a/a.png"))
    assert data is not None
    with Image.open(thumbnail_of(tmp_path, "abc", 0)) as image:
        assert image.size == (SIDE, SIDE // 2)
    path.unlink()
    assert await made.of("abc", record(path="a/a.png")) == data


async def test_there_is_none_of_what_is_gone_or_damaged(tmp_path: Path) -> None:
    made = Thumbnails(tmp_path)
    assert await made.of("abc", record(path="a/a.png")) is None
    picture(tmp_path).write_bytes(b"no image")
    assert await made.of("abc", record(path="a/a.png")) is None
    assert await made.of("abc", record(path="a/a.png", pruned_at=1)) is None


async def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    picture(tmp_path)
    made = Thumbnails(tmp_path)
    for n in range(3):
        assert await made.of("abc", record(n, path="a/a.png"))
        os.utime(thumbnail_of(tmp_path, "abc", n), (n, n))
    size = thumbnail_of(tmp_path, "abc", 0).stat().st_size
    assert await asyncio.to_thread(prune_thumbnails, tmp_path, 2 * size) == 1
    assert [thumbnail_of(tmp_path, "abc", n).exists() for n in range(3)] == [False, True, True]


async def test_they_go_with_their_images(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    pruned, erased = [await painted(store, folder, days) for days in (91, 1)]
    made = Thumbnails(folder)
    for job in (pruned, erased):
        for image in await store.images(job.id):
            assert await made.of(job.id, image)
    assert await housekeeping(store, folder, days=90, gib=0).prune() == 2
    assert [thumbnail_of(folder, pruned.id, n).exists() for n in range(2)] == [False, False]
    assert await store.deletions.begin(erased.id)
    await erase(store, folder, erased.id)
    assert list(folder.rglob("*.webp")) == []


async def test_favourites_are_pruned_after_everything_else(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    kept, old, new = [await painted(store, folder, days) for days in (100, 91, 1)]
    await store.favourites.keep("discord:7", kept.id)

    async def prune(*, days: float = 0, images: float | None = None) -> set[str]:
        sizes = [each.bytes for job in (kept, old, new) for each in await store.images(job.id)]
        gib = 0 if images is None else (images + 0.5) * max(sizes) / 2**30
        await housekeeping(store, folder, days=days, gib=gib).prune()
        return {path.parent.name for path in folder.rglob("*.png")}

    assert await prune(days=90) == {kept.id, new.id}
    assert await prune(images=2) == {kept.id}
    assert await prune(images=0) == set()


async def test_the_star_of_another_keeps_no_file(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    own, others = [await painted(store, folder, 91) for _ in range(2)]
    await store.favourites.keep(own.person, own.id)
    await store.favourites.keep("discord:8", others.id)
    assert await housekeeping(store, folder, days=90, gib=0).prune() == 2
    assert {path.parent.name for path in folder.rglob("*.png")} == {own.id}


async def test_none_stays_of_what_is_deleted_while_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = picture(tmp_path)
    make = thumbnails.small

    def deleted_meanwhile(file: Path) -> bytes:
        data = make(file)
        path.unlink()
        return data

    monkeypatch.setattr(thumbnails, "small", deleted_meanwhile)
    assert await Thumbnails(tmp_path).of("abc", record(path="a/a.png")) is not None
    assert not thumbnail_of(tmp_path, "abc", 0).exists()
