"""What a reaction requests, without Discord."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.recipe import Environment, environment_id
from bot.request import GenerationRequest
from bot.store import Job, Store
from catalog import Catalog, ModelEntry
from catalog.families.flux2 import FLUX2
from cogs.repeating import repeated
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
        assert replace(again(done), environment=None) == request(kernels=kernels)


async def test_a_repetition_asks_for_the_machine_of_the_original(tmp_path: Path) -> None:
    """And only for where it was generated: what it asked for itself does not count."""
    async with Store.open(tmp_path / "x.sqlite3") as store:
        job = await store.accept(new_job(request=request(environment="f" * 12)))
        running = await store.start(job.id)
        assert running
        written = replace(recipe(job.request.bare()), environment={"device_name": "H200"})
        done = await store.finish(running, written, [record()], [])
        assert done
        assert again(done).environment == environment_id(written.environment)
        unknown = replace(done, recipe=replace(written, environment={}))
        assert again(unknown).environment is None


async def test_a_repetition_asks_for_a_place_that_stores_its_model_as_before(
    tmp_path: Path,
) -> None:
    """Another family with the same facts may be stored otherwise there."""
    facts = {"device_name": "H200", "transformer_dtype": "bfloat16, int8", "vae_dtype": "bfloat16"}
    async with Store.open(tmp_path / "x.sqlite3") as store:
        job = await store.accept(new_job(request=request()))
        running = await store.start(job.id)
        assert running
        written = replace(recipe(job.request.bare()), environment=facts)
        done = await store.finish(running, written, [record()], [])
    assert done
    model = ModelEntry(key="demo", name="Demo", path="demo", family=FLUX2)
    asked = repeated(done, Catalog({"demo": model}, {}, ""), nsfw=False, same_seed=True)[0]
    machine, formats = environment_id(facts), {"transformer_dtype": "bfloat16, int8"}
    assert asked.environment in Environment(machine, {"flux2": formats}).ids
    for others in ({"flux2": {}, "zimage": formats}, {}):
        assert asked.environment not in Environment(machine, others).ids


def test_a_variation_may_be_painted_with_any() -> None:
    repeated = request(kernels="eager", environment="0123456789ab")
    assert repeated.with_seed(7) == request(seed=7)
