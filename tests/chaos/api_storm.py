"""Callers over HTTP while the process is killed again and again: each job is done once."""

import asyncio
import hashlib
import io
import random
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image

from tests.chaos.harness import ChaosHome
from tests.chaos.light_bot import pixels
from tests.e2e.server import Server

SIDE = 64
PAUSE = 0.05
"""Seconds before a call that failed is made again."""


class LightServer(Server):
    program = Path(__file__).with_name("light_bot.py")


@dataclass(frozen=True)
class ApiPlan:
    """callers: how many, each with `jobs` of its own. kills: SIGKILLs while they ask and wait."""

    seed: int
    callers: int
    jobs: int
    kills: int


@dataclass
class ApiTally:
    """What became of the jobs. wrong: what a caller got that it must not."""

    asked: int = 0
    done: int = 0
    kills: int = 0
    calls_cut_off: int = 0
    wrong: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.asked} jobs, {self.kills} kills, {self.calls_cut_off} calls cut off: "
            f"{self.done} done, {len(self.wrong)} wrong, in the store {dict(self.states)}"
        )

    @property
    def perfect(self) -> bool:
        return self.done == self.asked and self.states == {"delivered": self.asked}


async def api_storm(plan: ApiPlan, home: ChaosHome) -> ApiTally:
    """Play the plan with a server in `home`."""
    tally = ApiTally()
    settings = {"IMAGEN_API_QUEUE_PER_KEY": "10000"}
    async with LightServer(home, **settings) as server:
        callers = [
            asyncio.create_task(_call(server, plan, number, tally))
            for number in range(plan.callers)
        ]
        killing = asyncio.create_task(_kill(server, plan, tally))
        await killing
        await asyncio.gather(*callers)
    tally.states = Counter(home.states())
    return tally


async def _kill(server: Server, plan: ApiPlan, tally: ApiTally) -> None:
    chance = random.Random(plan.seed)
    for _ in range(plan.kills):
        await asyncio.sleep(chance.uniform(0.2, 1.0))
        server.send(signal.SIGKILL)
        await server.wait()
        tally.kills += 1
        await server.start()


async def _call(server: Server, plan: ApiPlan, number: int, tally: ApiTally) -> None:
    """One caller: ask for everything first, then collect."""
    seeds = [number * plan.jobs + n for n in range(plan.jobs)]
    tally.asked += len(seeds)
    jobs = {}
    for seed in seeds:
        body = {"prompt": "a lake", "seed": seed, "steps": 2, "width": SIDE, "height": SIDE}
        headers = {"Idempotency-Key": f"{number}-{seed}"}
        answer = await _until_answered(
            server, tally, "POST", "/generate", json=body, headers=headers
        )
        if answer.status_code != 202:
            tally.wrong.append(f"seed {seed}: {answer.status_code} {answer.text}")
            continue
        jobs[seed] = answer.json()["job_id"]
    for seed, job_id in jobs.items():
        status: dict[str, Any] = {"status": "queued"}
        while status["status"] in ("queued", "running"):
            address = f"/status/{job_id}?wait=5"
            status = (await _until_answered(server, tally, "GET", address)).json()
        answer = await _until_answered(server, tally, "GET", f"/image/{job_id}")
        if status["status"] != "done" or answer.status_code != 200:
            tally.wrong.append(f"seed {seed}: {status} {answer.status_code}")
        elif _pixels_of(answer.content) != hashlib.sha256(pixels(seed, SIDE, SIDE)).digest():
            tally.wrong.append(f"seed {seed}: another image")
        else:
            tally.done += 1


async def _until_answered(
    server: Server, tally: ApiTally, method: str, address: str, **content: Any
) -> httpx2.Response:
    """As a careful client does it: again, until there is an answer."""
    while True:
        with suppress(httpx2.TransportError):
            answer = await server.client.request(method, address, **content)
            if answer.status_code != 503:
                return answer
        tally.calls_cut_off += 1
        await asyncio.sleep(PAUSE)


def _pixels_of(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as image:
        return hashlib.sha256(image.tobytes()).digest()
