"""Image files: their names and their contents."""

import hashlib
from dataclasses import replace
from pathlib import Path

from bot.files.images import image_name, save_images
from bot.files.metadata import read_png
from bot.store import Job, Store
from tests.store.factories import new_job, painting, recipe, request, running


async def job_of(tmp_path: Path, count: int = 1) -> Job:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        return await running(store, new_job(request=request(count=count)))


def test_names() -> None:
    assert image_name("sdxl-base", 42, 0, 1) == "sdxl-base-42.png"
    assert image_name("sdxl-base", 43, 1, 2) == "sdxl-base-43-2.png"


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
