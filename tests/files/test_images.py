"""Image files: their names and their contents."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest

from bot.files import images as images_module
from bot.files.images import Compressed, image_name, save_images
from bot.files.metadata import compress_png, read_png
from bot.store import Job, Store
from tests.store.factories import new_job, painting, recipe, request, running


async def job_of(tmp_path: Path, count: int = 1) -> Job:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        return await running(store, new_job(request=request(count=count)))


def test_names() -> None:
    asked = request(model="sdxl-base", seed=42)
    assert image_name(asked, 42, 0, 1) == "sdxl-base-42.png"
    assert image_name(asked, 43, 1, 2) == "sdxl-base-43-2.png"
    varied = asked.variations(12, 0.2, 2)
    assert image_name(varied, 12, 0, 1) == "sdxl-base-42-v12.png"
    assert image_name(varied, 13, 1, 2) == "sdxl-base-42-v13-2.png"


async def test_each_picture_is_a_file_that_its_record_describes(tmp_path: Path) -> None:
    job = await job_of(tmp_path, count=3)
    painted = painting(job.request)
    records = save_images(painted, job, tmp_path / "images")
    assert [record.seed for record in records] == [42, 43, 44]
    assert [record.n for record in records] == [0, 1, 2]
    for record, image in zip(records, painted.images, strict=True):
        assert record.path == f"{job.id}/demo-{record.seed}-{record.n + 1}.png"
        data = (tmp_path / "images" / record.path).read_bytes()
        assert record.sha256 == hashlib.sha256(data).hexdigest()
        assert record.bytes == len(data)
        assert (record.width, record.height) == (64, 48)
        assert record.pixels_sha256 == image.pixels_sha256
        said = read_png(data)
        assert (said.recipe, said.seed) == (recipe(job.request), record.seed)
    left = {path.name for path in (tmp_path / "images" / job.id).iterdir()}
    assert left == {Path(record.path).name for record in records}


async def test_seeds_past_the_end_start_again(tmp_path: Path) -> None:
    job = await job_of(tmp_path)
    job = replace(job, request=request(seed=2**32 - 1, count=2))
    records = save_images(painting(job.request), job, tmp_path)
    assert [Path(r.path).name for r in records] == ["demo-4294967295-1.png", "demo-0-2.png"]


async def test_painting_it_again_replaces_the_files(tmp_path: Path) -> None:
    job = await job_of(tmp_path)
    assert save_images(painting(), job, tmp_path) == save_images(painting(), job, tmp_path)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def test_images_compressed_ahead_make_the_same_files(
    tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await job_of(tmp_path, count=3)
    painted = painting(job.request)
    serial = save_images(painted, job, tmp_path / "serial")
    threads: list[threading.Thread] = []

    def compress(image: PIL.Image.Image) -> bytes:
        threads.append(threading.current_thread())
        return compress_png(image)

    monkeypatch.setattr(images_module, "compress_png", compress)
    compressed = Compressed(pool)
    for image in painted.images:
        compressed.begin(image)
    assert save_images(painted, job, tmp_path / "ahead", compressed.of) == serial
    assert len(threads) == 3
    assert threading.current_thread() not in threads
    for record in serial:
        assert (tmp_path / "ahead" / record.path).read_bytes() == (
            tmp_path / "serial" / record.path
        ).read_bytes()


async def test_an_image_that_was_generated_again_is_not_mixed_up(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    job = await job_of(tmp_path)
    (right,) = painting(job.request).images
    wrong = replace(right, image=PIL.Image.new("RGB", right.image.size, "red"))
    compressed = Compressed(pool)
    compressed.begin(wrong)
    assert compressed.of(right) == compress_png(right.image)
    compressed.begin(right)
    assert compressed.of(right) == compress_png(right.image)


async def test_what_no_one_waits_for_is_not_compressed(
    tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await job_of(tmp_path, count=2)
    begun, go_on, seen = threading.Event(), threading.Event(), []

    def compress(image: PIL.Image.Image) -> bytes:
        seen.append(image)
        begun.set()
        assert go_on.wait(30)
        return b""

    monkeypatch.setattr(images_module, "compress_png", compress)
    compressed = Compressed(pool)
    first, second = painting(job.request).images
    compressed.begin(first)
    assert begun.wait(30)
    compressed.begin(second)
    compressed.drop()
    go_on.set()
    pool.shutdown()
    assert seen == [first.image]
