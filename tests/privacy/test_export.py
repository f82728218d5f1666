"""Exports: files that fit, each whole, and nothing left on disk."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from bot.errors import Refused
from bot.files.inputs import Inputs
from bot.privacy import Contents, Exporter, export
from bot.privacy.export import AGAIN_MS
from bot.request import ControlUse, InitImage
from bot.store import Span, Store
from tests.files.keeping import png
from tests.privacy.test_forgetter import PERSON, painted
from tests.store.factories import new_job, request
from tests.store.test_personal import WHO, execute


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "imagen.sqlite3") as store:
        yield store


def exporter_of(store: Store, folder: Path, **parts: Any) -> Exporter:
    return Exporter(
        store,
        images_dir=folder / "images",
        inputs=Inputs(folder / "inputs"),
        folder=folder / "exports",
        **parts,
    )


async def exported(
    exporter: Exporter, limit: int, contents: Contents | None = None
) -> Sequence[dict[str, bytes]]:
    """What each part has by name, read while it is there."""
    found: list[dict[str, bytes]] = []
    folder = exporter._folder
    parts = exporter.parts(
        PERSON, Span.everything(), limit, lambda c: f"sent {c.sent}", contents or Contents()
    )
    async for part in parts:
        assert part.number == len(found) + 1
        assert part.path.stat().st_size <= limit
        assert len(list(folder.rglob("*.zip"))) <= 2
        with ZipFile(part.path) as opened:
            assert opened.testzip() is None
            found.append({name: opened.read(name) for name in opened.namelist()})
    assert list(folder.iterdir()) == []
    return found


async def test_it_remembers_nobody_longer_than_they_have_to_wait(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000
    monkeypatch.setattr(export, "now_ms", lambda: now)
    exporter = exporter_of(store, tmp_path)
    await exported(exporter, 40_000)
    with pytest.raises(Refused):
        exporter.check_rested(PERSON)
    now += AGAIN_MS
    async for _ in exporter.parts("discord:1", Span.everything(), 40_000, str, Contents()):
        pass
    assert [*exporter._last] == ["discord:1"]
    exporter.check_rested(PERSON)


async def test_each_part_fits_and_together_they_have_everything(
    store: Store, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path / "inputs")
    given = [await inputs.keep(png(shade)) for shade in (9, 10, 11)]
    start, *followed = given
    asked = request(
        count=2,
        init_image=InitImage(start, 0.5),
        controls=tuple(ControlUse("edges", sha256, "canny") for sha256 in followed),
    )
    jobs = [await painted(store, tmp_path, new_job(request=asked, user_id=WHO)) for _ in range(4)]
    await painted(store, tmp_path, new_job(user_id=1))
    parts = await exported(exporter_of(store, tmp_path), 40_000)
    assert len(parts) > 2
    together = {name: data for part in parts for name, data in part.items()}
    assert sum(map(len, parts)) == len(together)
    rows = [row for name, data in together.items() if "jobs/" in name for row in json.loads(data)]
    assert sorted(row["id"] for row in rows) == sorted(job.id for job in jobs)
    files = {
        f"images/{file.relative_to(tmp_path / 'images')}": file.read_bytes()
        for job in jobs
        for file in (tmp_path / "images" / job.id).iterdir()
    }
    files |= {
        f"inputs/{sha256}.png": (tmp_path / "inputs" / f"{sha256}.png").read_bytes()
        for sha256 in given
    }
    assert {name: data for name, data in together.items() if name.endswith(".png")} == files
    assert together["README.txt"] == b"sent 11"


async def test_what_does_not_fit_is_named(store: Store, tmp_path: Path) -> None:
    jobs = [await painted(store, tmp_path, new_job(user_id=WHO)) for _ in range(4)]
    large, pruned, gone, _ = [(await store.images(job.id))[0].path for job in jobs]
    with (tmp_path / "images" / large).open("ab") as file:
        file.write(bytes(100_000))
    execute(store, "UPDATE images SET pruned_at = 1 WHERE path = ?", pruned)
    (tmp_path / "images" / gone).unlink()
    contents = Contents()
    parts = await exported(exporter_of(store, tmp_path), 60_000, contents)
    missing = json.loads(parts[-1]["missing.json"])
    assert missing == {"too_large": [f"images/{large}"], "unread": [f"images/{gone}"]}
    assert (contents.sent, contents.pruned, contents.left_out) == (1, 1, 0)


async def test_there_is_an_end_to_it(store: Store, tmp_path: Path) -> None:
    for _ in range(12):
        await painted(store, tmp_path, new_job(user_id=WHO))
    contents = Contents()
    parts = await exported(exporter_of(store, tmp_path, parts_max=2), 40_000, contents)
    assert len(parts) <= 3
    assert contents.sent + contents.left_out == 12
    assert contents.left_out > 0


async def test_one_at_a_time_and_not_too_often(store: Store, tmp_path: Path) -> None:
    exporter = exporter_of(store, tmp_path)
    with exporter.alone(PERSON):
        with pytest.raises(Refused, match=r"export\.running"), exporter.alone(PERSON):
            pass
        with exporter.alone("discord:1"):
            pass
    exporter.check_rested(PERSON)
    await exported(exporter, 40_000)
    with pytest.raises(Refused, match=r"export\.again"):
        exporter.check_rested(PERSON)
    exporter.check_rested("discord:1")


async def test_what_a_crash_left_is_deleted_and_so_is_what_nobody_takes(
    store: Store, tmp_path: Path
) -> None:
    left = tmp_path / "exports" / "x" / "export-1.zip"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"secret")
    exporter = exporter_of(store, tmp_path)
    exporter.clean_up()
    assert not left.exists()
    parts = exporter.parts(PERSON, Span.everything(), 40_000, lambda c: "", Contents())
    async for part in parts:
        assert part.path.exists()
        break
    await parts.aclose()
    assert list((tmp_path / "exports").iterdir()) == []
