"""The long form: `make chaos`, or `python -m tests.chaos --help`.

Three plans with the light engine (see light_bot.py), and one in which nothing is exchanged but the
pauses between retries: that one imports torch at each of its starts and takes its time.
"""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from playground import Playground
from tests.chaos.harness import Chaos, ChaosHome, HurriedBot, LightBot, Plan, Tally

COLD_START = 1.5
"""The most seconds from its start to a kill before it is online."""
REAL_ENGINE = 20.0
"""The most seconds at work; importing torch takes about eight, an image a few tenths."""


def plans(jobs: int, kills: int, seed: int) -> dict[str, Plan]:
    plain = Plan(seed=seed, jobs=jobs, kills=kills)
    return {
        "kills": plain,
        "storm": replace(plain, seed=seed + 1, storm=0.1),
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(plans(1, 1, 1)), help="one plan")
    options = parser.parse_args()
    perfect = True
    with tempfile.TemporaryDirectory() as models:
        for name, plan in plans(options.jobs, options.kills, options.seed).items():
            if options.only in (None, name):
                tally = asyncio.run(play(name, plan, Path(models)))
                print(f"{name}: {tally}", flush=True)  # noqa: T201
                for wrong in (*tally.lost, *tally.doubled, *tally.violations):
                    print(f"    {wrong}")  # noqa: T201
                perfect &= tally.perfect
    return 0 if perfect else 1


if __name__ == "__main__":
    sys.exit(main())
