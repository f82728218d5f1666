"""Several processes on one data folder: each runs the jobs it accepted, and none is lost."""

import asyncio
import json
import re
import signal
import sqlite3
import sys

import pytest

from playground import Playground
from tests.e2e.conftest import CANARY
from tests.e2e.home import ROOT, Bot, Home, call
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


def stored(home: Home) -> list[str]:
    """The jobs' states; none while the database is still being created."""
    try:
        return home.states()
    except sqlite3.OperationalError:
        return []


@pytest.mark.long
async def test_two_bots_and_a_command_line_do_not_meddle(home: Home) -> None:
    # A command line that is killed while it generates …
    dying = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "main.py"), "imagine", CANARY, "--seed", "8", "--steps", "2"),
        cwd=home.folder,
        env=home.environment,
    )
    await until(lambda: stored(home) == ["running"])
    dying.send_signal(signal.SIGKILL)
    await dying.wait()

    as_json = {"IMAGEN_LOG_FORMAT": "json"}
    async with Playground() as playground, Bot(home, playground, **as_json) as bot:
        token = {"DISCORD_TOKEN": playground.token, "DISCORD_API_URL": playground.api_url}
        identified = playground.gateway_identifies
        code, _, err = await call(home, "run", **token)
        assert (code != 0, "another bot runs on this folder" in err) == (True, True)
        assert "Traceback" not in err
        assert playground.gateway_identifies == identified

        # … is followed by the bot, which keeps the image and sends no message.
        await until(lambda: home.states() == ["delivered"], times=600)
        [(path, seed)] = home.rows("SELECT path, seed FROM images")
        assert seed == 8
        assert (home.data_dir / "images" / path).exists()
        assert playground.messages(playground.channel) == []

        # Both at the same time.
        ada = playground.user("ada")
        (code, out, _), message = await asyncio.gather(
            call(home, "imagine", CANARY, "--seed", "9", "--steps", "2"),
            painted(ada, prompt=CANARY, seed=10),
        )
        assert (code, "seed 9" in out) == (0, True)
        assert message.attachments
        attempts = home.rows("SELECT origin, state, attempt FROM jobs ORDER BY created_at")
        assert attempts[0] == ("cli", "delivered", 2)
        assert sorted(attempts[1:]) == [("cli", "delivered", 1), ("discord", "delivered", 1)]
        assert list((home.data_dir / "claims").iterdir()) == []

        assert await bot.end() == 0
        assert "traceback" not in bot.log.lower()
        check_log(bot)
        assert playground.violations == []


def check_log(bot: Bot) -> None:
    """Every line is one JSON object, with the id if it is about a job, and without secrets."""
    lines = [json.loads(line) for line in bot.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    jobs = [job_id for (job_id,) in bot.home.rows("SELECT id FROM jobs WHERE origin = 'discord'")]
    for job_id in jobs:
        told = [line["message"] for line in lines if line.get("job") == job_id]
        assert len(told) >= 3
        assert all(job_id in m for m in told if m.startswith("job "))
    for line in lines:
        named = re.match(r"job (\w+)", line["message"])
        assert named is None or line["job"] == named[1]
    assert CANARY not in bot.log
    assert bot.playground.token not in bot.log
    assert not [i.token for i in bot.playground.interactions() if i.token in bot.log]
