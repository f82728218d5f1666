"""HTTP and Discord at once, in one process: one queue, one engine, the same bytes."""

import asyncio
import hashlib
import json
from typing import Any

import httpx2
import pytest

from playground import Playground
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home, call, free_port
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


@pytest.mark.long
async def test_the_same_seed_is_the_same_image_wherever_it_is_asked_for(home: Home) -> None:
    port = free_port()
    async with (
        Playground() as playground,
        Bot(home, playground, IMAGEN_API_PORT=str(port)) as bot,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as api,
    ):
        body: dict[str, Any] = {"prompt": CANARY, "steps": 10, "seed": 11, "size": "64x80"}
        accepted = (await api.post("/generate", json=body)).json()
        message = await painted(
            playground.user("ada"), prompt=CANARY, steps=10, seed=11, size="64x80"
        )
        status = (await api.get(f"/status/{accepted['job_id']}", params={"wait": 30})).json()
        over_http = (await api.get(f"/image/{accepted['job_id']}")).content
        [attachment] = message.attachments
        on_discord = attachment.data
        options = ("--steps", "10", "--seed", "11", "--size", "64x80", "--json")
        _, out, _ = await call(home, "imagine", CANARY, *options)
        [from_terminal] = json.loads(out)["images"]
        assert status["status"] == "done"
        digests = {hashlib.sha256(data).hexdigest() for data in (over_http, on_discord)}
        assert digests == {from_terminal["sha256"]}

        # A job of a member is none of a caller's, nor the other way round.
        [(theirs,)] = home.rows("SELECT id FROM jobs WHERE origin = 'discord'")
        for path in (f"/status/{theirs}", f"/image/{theirs}", f"/events/{theirs}"):
            assert (await api.get(path)).status_code == 404
        assert (await api.delete(f"/jobs/{theirs}")).status_code == 404
        health: dict[str, str] = {}
        for _ in range(100):  # discord.py waits a moment before it says that it is ready
            health = (await api.get("/healthz")).json()
            if health["discord"] == "ok":
                break
            await asyncio.sleep(0.1)
        assert health == {"discord": "ok", "database": "ok", "painting": "ok"}
        assert await bot.end() == 0
        assert CANARY not in bot.log
        assert "Traceback" not in bot.log


@pytest.mark.long
async def test_a_bot_without_the_interface_finishes_what_was_asked_over_http(home: Home) -> None:
    """They are in the one queue: a bot without the interface generates them, too."""
    port = free_port()
    async with Playground() as playground:
        bot = Bot(home, playground, IMAGEN_API_PORT=str(port))
        async with (
            bot,
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as api,
        ):
            body = {"prompt": CANARY, "steps": 100, "size": "256x256"}
            assert (await api.post("/generate", json=body)).status_code == 202
            assert await bot.end() == 0
        assert home.states() == ["pending"]
        async with Bot(home, playground):
            await until(lambda: home.states() == ["delivered"], times=600)


@pytest.mark.long
async def test_a_port_that_is_taken_is_said(home: Home) -> None:
    port = free_port()
    async with (
        Playground() as playground,
        Bot(home, playground, IMAGEN_API_PORT=str(port)),
    ):
        other = Home(home.folder / "other", home.models_dir)
        code, _, err = await call(other, "serve", "--port", str(port))
        assert code == 78
        assert f"port {port}" in err
