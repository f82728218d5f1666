"""Who is blocked has nothing painted, even if the process ends between blocking and withdrawing."""

import pytest

from bot.store import EVERYWHERE, JobState
from bot.store.blocks import BlockKind
from bot.worker.blocking import Blocking
from bot.worker.permits import Permits
from tests.store.factories import in_channel
from tests.worker.bench import Build, Gate
from tests.worker.fakes import eventually

SERVER, OTHER = "discord:100", "discord:200"


@pytest.mark.parametrize(
    ("kind", "blocked", "within", "why"),
    [
        ("person", "discord:7", EVERYWHERE, "queue.blocked"),
        ("person", "discord:7", SERVER, "queue.blocked_here"),
        ("person", "discord:7", OTHER, None),
        ("server", SERVER, EVERYWHERE, "queue.server_blocked"),
    ],
)
async def test_what_waits_at_the_start_is_withdrawn(
    build: Build, kind: BlockKind, blocked: str, within: str, why: str | None
) -> None:
    gate = Gate()
    async with build(gate) as bench:
        running = await bench.take(in_channel(user_id=8, guild_id=300))
        await gate.entered()
        waiting = await bench.take(in_channel(user_id=7, guild_id=100))
        # As if the process had ended right after: nothing in memory, nothing withdrawn.
        await bench.store.blocks.add(kind, blocked, within=within, actor="discord:9")
        await Blocking(bench.store, bench.queue, bench.workers).enforce()
        if why is not None:
            ended = await bench.ended(waiting)
            assert ended.error is not None
            assert (ended.state, ended.error.code) == (JobState.FAILED, why)
        gate.go_on.set()
        assert (await bench.ended(running)).state is JobState.DONE
        assert (await bench.ended(waiting)).state is (JobState.FAILED if why else JobState.DONE)
        assert len(bench.engine.orders) == (1 if why else 2)


async def test_nothing_is_painted_of_what_was_not_withdrawn_yet(build: Build) -> None:
    gate, permits = Gate(), Permits()
    async with build(gate, permit=permits) as bench:
        blocking = Blocking(bench.store, bench.queue, bench.workers)
        permits.add(blocking.permit)
        await bench.take(in_channel(user_id=8, guild_id=300))
        await gate.entered()
        waiting = await bench.take(in_channel(user_id=7, guild_id=100))
        await bench.store.blocks.add("person", "discord:7", within=EVERYWHERE, actor="discord:9")
        await blocking.load()
        gate.go_on.set()
        ended = await bench.ended(waiting)
        await eventually(lambda: len(bench.queue) == 0)
    assert ended.error is not None
    assert ended.error.code == "queue.blocked"
    assert len(bench.engine.orders) == 1
