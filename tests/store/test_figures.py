"""What is counted for /stats."""

import pytest

from bot.request import Axis, Comparison
from bot.store import Job, Store
from bot.store.figures import DAY_MS
from tests.store.factories import new_job, painting, record, request, running


async def painted(store: Store, images: int, **fields: object) -> Job:
    job = await running(store, new_job(**fields))
    records = [record(n, path=f"{job.id}/{n}.png") for n in range(images)]
    done = await store.finish(job, painting(job.request).recipe, records, [])
    assert done is not None
    return done


@pytest.mark.parametrize("kind", ["compare", "reroll"])
async def test_the_sheet_of_a_comparison_is_no_image_of_its_own(store: Store, kind: str) -> None:
    cells = tuple(request(steps=steps) for steps in (10, 20))
    asked = request(comparison=Comparison((Axis("steps", ("10", "20")),), cells))
    job = await painted(store, 3, request=asked, kind=kind)
    await painted(store, 1, request=request())
    tally = await store.figures.of_person("discord:7", 0, job.created_at + DAY_MS)
    assert (tally.images, sum(tally.days.values()), tally.jobs) == (3, 3, 2)
