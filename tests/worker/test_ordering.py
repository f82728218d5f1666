"""What the engine is given of a job, and jobs that name what is not read yet."""

import asyncio
import logging
import threading
from dataclasses import replace
from typing import cast

import pytest

from bot.order import Order
from bot.request import InitImage
from bot.store import Failure, JobState
from catalog import Catalog, LiveCatalog
from catalog.unread import Unread
from tests.catalog.fixed import Fixed
from tests.store.factories import new_job, request
from tests.worker.bench import Build
from tests.worker.fakes import ADAPTERS, CATALOG, MODEL

S = JobState


class TestOrdering:
    async def test_the_engine_is_given_all_that_the_request_names(self, build: Build) -> None:
        threads = []

        def picture(sha256: str) -> bytes:
            threads.append(threading.current_thread().name)
            return sha256.encode()

        asked = request(init_image=InitImage("a" * 64, 0.5))
        async with build(picture=picture) as bench:
            job = await bench.ended(await bench.take(new_job(request=asked)))
        assert job.state is S.DONE
        pictures = {"a" * 64: b"a" * 64}
        expected = Order(asked, MODEL, (ADAPTERS["ink"],), None, pictures, name=f"{job.id}:1")
        assert bench.engine.orders == [expected]
        assert threads == bench.engine.threads  # never on the event loop

    async def test_what_is_gone_fails_the_job(self, build: Build) -> None:
        def picture(sha256: str) -> bytes:
            raise FileNotFoundError(sha256)

        asked = request(init_image=InitImage("a" * 64, 0.5))
        async with build(picture=picture) as bench:
            job = await bench.ended(await bench.take(new_job(request=asked)))
        assert job.error == Failure("picture.gone", {})
        assert not bench.engine.orders


class TestUnreadFiles:
    @pytest.fixture
    def catalog(self, monkeypatch: pytest.MonkeyPatch) -> Fixed:
        """Of a bot that has read nothing yet."""
        monkeypatch.setattr("bot.worker.painter.WATCH", 0.01)
        return Fixed(Catalog({}, {}, "", unread=(Unread("adapter", ("any.safetensors",)),)))

    async def waiting(self, caplog: pytest.LogCaptureFixture) -> None:
        async with asyncio.timeout(30):
            while "waiting until the model files are read" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def test_a_job_waits_for_what_it_names(
        self, build: Build, catalog: Fixed, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "bot.worker")
        async with build(catalog=cast("LiveCatalog", catalog)) as bench:
            job_id = await bench.take()
            await self.waiting(caplog)
            assert not bench.engine.orders
            catalog.current = replace(CATALOG, unread=catalog.current.unread)
            job = await bench.ended(job_id)
        assert job.state is S.DONE

    async def test_it_fails_once_all_is_read_and_it_is_in_no_file(
        self, build: Build, catalog: Fixed, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "bot.worker")
        async with build(catalog=cast("LiveCatalog", catalog)) as bench:
            job_id = await bench.take()
            await self.waiting(caplog)
            catalog.current = Catalog({}, {}, "")
            job = await bench.ended(job_id)
        assert job.error is not None
        assert job.error.code == "model.gone"

    async def test_it_can_be_cancelled_meanwhile(
        self, build: Build, catalog: Fixed, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "bot.worker")
        async with build(catalog=cast("LiveCatalog", catalog)) as bench:
            job_id = await bench.take()
            await self.waiting(caplog)
            bench.workers.cancel(job_id)
            job = await bench.ended(job_id)
        assert job.state is S.CANCELLED
