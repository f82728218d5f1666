"""What a reaction requests, without Discord."""

from pathlib import Path

import pytest

from bot.request import GenerationRequest
from bot.store import Job, Store
from catalog import Catalog
from cogs.results import repeated
from tests.store.factories import new_job, recipe, record, request


def again(job: Job) -> GenerationRequest:
    return repeated(job, Catalog({}, {}, ""), nsfw=False, same_seed=True)[0]


@pytest.mark.parametrize("kernels", ["compiled", None])
async def test_a_repetition_is_painted_with_the_kernels_of_the_original(
    tmp_path: Path, kernels: str | None
) -> None:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        job = await store.accept(new_job(request=request(kernels="eager")))
        assert again(job) == request()  # it has no recipe yet, so any will do
        running = await store.start(job.id)
        assert running
        written = recipe(job.request)
        if kernels:
            written.environment["kernels"] = kernels
        done = await store.finish(running, written, [record()], [])
        assert done
        assert again(done) == request(kernels=kernels)


def test_a_variation_may_be_painted_with_any() -> None:
    assert request(kernels="eager").with_seed(7) == request(seed=7)
