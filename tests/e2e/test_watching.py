"""Health and metrics of the running bot, as monitoring sees them."""

import aiohttp
import pytest

from playground import User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_health_and_figures(shared: Bot, ada: User) -> None:
    address = f"http://127.0.0.1:{shared.settings['IMAGEN_METRICS_PORT']}"
    async with aiohttp.ClientSession(address) as session:

        async def figure(name: str) -> float:
            async with session.get("/metrics") as answer:
                text = await answer.text()
            assert CANARY not in text
            found = [line for line in text.splitlines() if line.startswith(f"{name} ")]
            return float(found[0].split()[1]) if found else 0.0

        async def health() -> tuple[int, dict[str, str]]:
            async with session.get("/healthz") as answer:
                return answer.status, await answer.json()

        await painted(ada, prompt=CANARY, steps=1)
        await until(lambda: "bot.chat.client: online" in shared.log)
        assert await health() == (
            200,
            {"status": "ok", "discord": "ok", "database": "ok", "painting": "ok"},
        )
        names = (
            'imagen_jobs_total{outcome="done"}',
            'imagen_steps_total{model="demo"}',
            "imagen_job_wait_seconds_count",
        )
        # What earlier tests left in the queue would count too.
        await until(lambda: not {"pending", "running", "done"} & {*shared.home.states()})
        before = [await figure(name) for name in names]
        await painted(ada, prompt=CANARY, steps=7)
        after = [await figure(name) for name in names]
        assert [now - then for now, then in zip(after, before, strict=True)] == [1, 7, 1]
        assert await figure("imagen_steps_per_second") > 0
        assert await figure("imagen_queue_length") == 0
        assert await figure("imagen_event_loop_lag_seconds_count") > 0
        assert await figure("process_resident_memory_bytes") > 0
