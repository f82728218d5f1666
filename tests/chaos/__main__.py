"""The long form: `make chaos`, or `python -m tests.chaos --help`.

Plans with the light engine (see light_bot.py): with one lane in the bot, with engine processes and
with workers, 1, 2 and 4 of them; and one in which nothing is exchanged but the pauses between
retries: that one imports torch at each of its starts and takes its time.
"""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from playground import Playground
from tests.chaos.api_storm import ApiPlan, ApiTally, api_storm
from tests.chaos.fleets import LANES, WAYS, Play, full
from tests.chaos.harness import Chaos, ChaosHome, HurriedBot, LightBot
from tests.chaos.plans import Plan, Tally

COLD_START = 1.5
"""The most seconds from its start to a kill before it is online."""
CALLERS = 20
API = "api"
"""The plan of callers over HTTP. It has 500 jobs and 8 kills unless others are asked for."""
REAL_ENGINE = 20.0
"""The most seconds at work; importing torch takes about eight, an image a few tenths."""


def plans(jobs: int, kills: int, seed: int) -> dict[str, Plan]:
    plain = Plan(seed=seed, jobs=jobs, kills=kills)
    return {
        "kills": plain,
        "storm": replace(plain, seed=seed + 1, storm=0.1),
        "settings": replace(plain, seed=seed + 4, storm=0.05, settings=True),
        "absence": replace(plain, seed=seed + 2, storm=0.1, forgetful=True),
        "engine": replace(
            plain, seed=seed + 3, storm=0.05, starting=COLD_START, working=REAL_ENGINE
        ),
    }


async def play(name: str, plan: Plan, models_dir: Path) -> Tally:
    """Run one plan in its own home."""
    with tempfile.TemporaryDirectory() as folder:
        home = ChaosHome(Path(folder) / "home", models_dir)
        settings = {"CHAOS_FORGETS_NONCES": "yes"} if plan.forgetful else {}
        async with Playground() as playground:
            kind = HurriedBot if name == "engine" else LightBot
            bot = kind(home, playground, **settings)
            try:
                return await Chaos(plan, playground, bot).run()
            finally:
                await bot.__aexit__()


async def call(jobs: int, kills: int, seed: int, models_dir: Path) -> ApiTally:
    """Callers over HTTP, who ask for so many jobs together."""
    with tempfile.TemporaryDirectory() as folder:
        home = ChaosHome(Path(folder) / "home", models_dir)
        return await api_storm(ApiPlan(seed, CALLERS, -(-jobs // CALLERS), kills), home)


def fleets() -> dict[str, tuple[Play, int]]:
    """What plays each plan with several lanes, and with how many."""
    return {f"{way}-{lanes}": (play, lanes) for way, play in WAYS.items() for lanes in LANES}


def shown(name: str, tally: Tally) -> bool:
    """Print it; returns whether it is perfect."""
    print(f"{name}: {tally}", flush=True)  # noqa: T201
    for wrong in (*tally.lost, *tally.doubled, *tally.violations):
        print(f"    {wrong}")  # noqa: T201
    return tally.perfect


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted((*plans(1, 1, 1), *fleets(), API)))
    options = parser.parse_args()
    perfect = True
    with tempfile.TemporaryDirectory() as models:
        chats = plans(options.jobs or 200, options.kills or 40, options.seed)
        for name, plan in chats.items():
            if options.only in (None, name):
                perfect &= shown(name, asyncio.run(play(name, plan, Path(models))))
        for name, (several, lanes) in fleets().items():
            if options.only in (None, name):
                plan = full(options.jobs or 200, options.kills or 40, options.seed)
                with tempfile.TemporaryDirectory() as folder:
                    tally = asyncio.run(several(plan, lanes, Path(folder)))
                perfect &= shown(name, tally)
        if options.only in (None, API):
            calls = call(options.jobs or 500, options.kills or 8, options.seed, Path(models))
            outcome = asyncio.run(calls)
            print(f"{API}: {outcome}", *outcome.wrong, sep="\n    ", flush=True)  # noqa: T201
            perfect &= outcome.perfect
    return 0 if perfect else 1


if __name__ == "__main__":
    sys.exit(main())
