"""Images of a certain age, and what deletes them."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from bot.files.housekeeping import DAY_MS, Housekeeping
from bot.files.images import save_images
from bot.files.inputs import Inputs
from bot.store import Job, Store, now_ms
from tests.store.factories import painting, request, running


async def painted(store: Store, folder: Path, days_ago: float, *, delivered: bool = True) -> Job:
    job = await running(store)
    result = painting(request(count=2))
    finished = await store.finish(job, result.recipe, save_images(result, job, folder), [])
    assert finished is not None
    await store._database.write(
        lambda write: write.execute(
            "UPDATE jobs SET finished_at = ? WHERE id = ?",
            (now_ms() - int(days_ago * DAY_MS), job.id),
        )
    )
    if delivered:
        assert await store.deliver(finished, 1, now_ms())
    return await store.job(job.id)


def png(shade: int, side: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def housekeeping(
    store: Store, folder: Path, *, days: float, gib: float, **more: Any
) -> Housekeeping:
    inputs = Inputs(folder.parent / "inputs")
    return Housekeeping(store, folder, inputs, days=days, gib=gib, **more)


def files(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.rglob("*.png")}
