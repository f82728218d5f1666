"""A killed process loses nothing that it acknowledged."""

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bot.store import JobState, Store

ROOT = Path(__file__).parents[2]
WRITER = """
import asyncio, sys
from pathlib import Path
from bot.store import Store
from tests.store.factories import new_job, recipe, record

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        await store.requeue_all(("discord",))
        while True:
            job = await store.accept(new_job())
            print("pending", job.id, flush=True)
            job = await store.start(job.id)
            print("running", job.id, flush=True)
            job = await store.finish(job, recipe(), [record(0), record(1)], [])
            print("done", job.id, flush=True)
            await store.deliver(job)
            print("delivered", job.id, flush=True)

asyncio.run(main())
"""
ORDER = ["pending", "running", "done", "delivered"]


def killed_after(lines: int, database: Path) -> dict[str, str]:
    """Run the writer, kill it after about that many acknowledgements; the last one of each job."""
    told: dict[str, str] = {}
    command = [sys.executable, "-c", WRITER, str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        assert writer.stdout is not None
        for count, line in enumerate(writer.stdout, start=1):
            state, _, job_id = line.strip().partition(" ")
            if len(job_id) == 10:  # a torn last line was not acknowledged
                told[job_id] = state
            if count == lines:
                # Whatever it is doing is interrupted.
                writer.send_signal(signal.SIGKILL)
    assert writer.returncode == -signal.SIGKILL
    return told


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_no_acknowledged_row_is_lost(tmp_path: Path) -> None:
    database = tmp_path / "x.sqlite3"
    chance = random.Random(20261122)
    told: dict[str, str] = {}
    for _ in range(3):
        told |= killed_after(chance.randint(1, 150), database)
    assert len(told) > 20
    connection = sqlite3.connect(database)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        connection.close()
    async with Store.open(database) as store:
        for job_id, state in told.items():
            job = await store.job(job_id)
            # `recover` in the next run reset a running one; nothing else goes backwards.
            if state != "running":
                assert ORDER.index(job.state.value) >= ORDER.index(state)
            ended = job.state in (JobState.DONE, JobState.DELIVERED)
            assert len(await store.images(job_id)) == (2 if ended else 0)
