"""Plans with several lanes: engines in processes of their own, and workers behind a broker."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

from playground import Playground
from tests.chaos.harness import Chaos, ChaosHome, LightBot
from tests.chaos.light_bot import pixels
from tests.chaos.plans import Plan, Tally
from tests.chaos.victims import Broker, Engine, Machine, Victim
from tests.distributed.server import Server

Play: TypeAlias = Callable[[Plan, int, Path], Coroutine[Any, Any, Tally]]
SIDE = 64
LANES = (1, 2, 4)


def full(jobs: int = 200, kills: int = 40, seed: int = 7) -> Plan:
    """What `make chaos` does with each kind of lanes, and as many of them as LANES."""
    return Plan(seed=seed, jobs=jobs, kills=kills, steps=30, working=2.5)


async def play_processes(plan: Plan, lanes: int, folder: Path) -> Tally:
    """With `lanes` engines, each in a process of its own, which are killed as well."""
    home = ChaosHome(folder / "home", folder / "models")
    names = ["gpu"] if lanes == 1 else [f"cpu-{number}" for number in range(1, lanes + 1)]
    async with Playground() as playground:
        devices = ",".join(["cpu"] * lanes)
        bot = LightBot(home, playground, IMAGEN_ENGINE="process", IMAGEN_DEVICES=devices)
        return await _played(plan, playground, bot, [Engine(name, bot) for name in names])


async def play_workers(plan: Plan, lanes: int, folder: Path) -> Tally:
    """With `lanes` workers and a broker, all of which are killed as well."""
    home = ChaosHome(folder / "home", folder / "models")
    server = Server(folder)
    server.start()
    async with AsyncExitStack() as stack:
        stack.callback(server.kill)
        machines = []
        for number in range(1, lanes + 1):
            own = ChaosHome(folder / f"worker-{number}", folder / "models")
            machine = Machine(f"worker-{number}", own, server)
            stack.push_async_callback(machine.end)
            await machine.start()
            machines.append(machine)
        playground = await stack.enter_async_context(Playground())
        bot = LightBot(home, playground, IMAGEN_BROKER=server.url, CHAOS_HAS_NO_DEVICE="yes")
        brokers = [Broker(server, with_data=with_data) for with_data in (False, True)]
        return await _played(plan, playground, bot, [*machines, *brokers])


async def _played(
    plan: Plan, playground: Playground, bot: LightBot, others: Sequence[Victim]
) -> Tally:
    def expected(seed: int) -> bytes:
        return pixels(seed, SIDE, SIDE)

    try:
        return await Chaos(plan, playground, bot, others, expected).run()
    finally:
        await bot.__aexit__()


WAYS: Mapping[str, Play] = {"processes": play_processes, "workers": play_workers}
