"""When the process may open no more files, jobs wait for them and are not told untruths."""

import itertools
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from playground import NotAcknowledged, Playground
from tests.e2e.conftest import CANARY
from tests.e2e.home import Home, ImpatientBot
from tests.e2e.test_life import until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit"),
    pytest.mark.long,
]


def first_free(pid: int) -> int:
    """The lowest number that no open file of the process has."""
    used = {int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in itertools.count() if number not in used)


@pytest.mark.long
async def test_no_job_fails_because_too_many_files_are_open(home: Home) -> None:
    import resource

    async with Playground() as playground:
        ada, admin = playground.user("ada"), playground.user("admin")
        playground.give_role(admin, playground.add_role("admin", "administrator"))
        async with ImpatientBot(home, playground) as bot:
            await admin.slash("pause")
            asked = await ada.slash("imagine", prompt=CANARY, model="second", lora="ember")
            await asked.wait()
            _, hard = resource.prlimit(bot.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(bot.pid, resource.RLIMIT_NOFILE, (first_free(bot.pid), hard))
            # It cannot even connect to Discord to acknowledge this.
            with suppress(NotAcknowledged):
                await admin.slash("resume")
            await until(lambda: "a file cannot be read now" in bot.log)
            resource.prlimit(bot.pid, resource.RLIMIT_NOFILE, (hard, hard))
            await asked.wait(lambda m: bool(m.attachments), timeout=90)
            await until(lambda: home.states() == ["delivered"])
