"""The images of requests that are refused after all are not kept, and no one else's are dropped."""

from pathlib import Path

import pytest

from bot.errors import Refused, StoreError
from bot.files.given import holding
from bot.files.housekeeping import InputsOfCancelled
from bot.files.inputs import Inputs
from bot.request import InitImage
from bot.store import Store
from tests.files.keeping import png
from tests.store.factories import new_job, request


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path / "inputs")


async def test_the_image_of_a_refused_request_is_deleted(store: Store, inputs: Inputs) -> None:
    async def ask() -> None:
        async with holding(store, inputs) as keep:
            await keep(png(1), "image")
            assert len(await inputs.stored()) == 1
            raise Refused("queue.full")

    with pytest.raises(Refused):
        await ask()
    assert await inputs.stored() == []


async def test_that_of_an_accepted_one_stays(store: Store, inputs: Inputs) -> None:
    async with holding(store, inputs) as keep:
        sha256 = await keep(png(1), "image")
        await store.accept(new_job(request=request(init_image=InitImage(sha256, 0.6))))
    assert inputs.path(sha256).exists()


async def test_one_that_a_request_waits_with_outlives_the_cancelled_job_of_another(
    store: Store, inputs: Inputs
) -> None:
    async with holding(store, inputs) as keep:
        sha256 = await keep(png(1), "image")
        await inputs.keep(png(1))
        job = await store.accept(new_job(request=request(init_image=InitImage(sha256, 0.6))))
        cancelled = await store.cancel(job)
        assert cancelled is not None
        await InputsOfCancelled(store, inputs).failed(cancelled)
        assert inputs.path(sha256).exists()
    assert not inputs.path(sha256).exists()


async def test_of_two_requests_with_the_same_one_the_last_deletes_it(
    store: Store, inputs: Inputs
) -> None:
    async with holding(store, inputs) as keep:
        sha256 = await keep(png(1), "image")
        async with holding(store, inputs) as also:
            await also(png(1), "reference")
        assert inputs.path(sha256).exists()
    assert not inputs.path(sha256).exists()


async def test_a_request_does_not_fail_for_it(
    store: Store, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: str) -> None:
        raise StoreError("away")

    monkeypatch.setattr(store.input_uses, "of", away)
    async with holding(store, inputs) as keep:
        sha256 = await keep(png(1), "image")
    assert inputs.path(sha256).exists()
