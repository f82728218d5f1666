"""The soak, `make soak`: many jobs, people, reactions, cancels and restarts, with the demo model.

RAM, open files, threads and tasks are noted as it goes; they must not grow. It ends when the jobs
are done or the minutes are over, whichever comes first.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from playground import ClientRefused, Message, NotAcknowledged, Playground, User
from tests.chaos.harness import ChaosHome
from tests.e2e.home import Bot

WARM = 100
"""Jobs after a start until which the process may still grow: libraries, caches, pools."""
GROWTH = {"megabytes": 64.0, "files": 8, "threads": 4, "tasks": 8}
"""By how much each figure may be larger at the end of a life than when it was warm."""
WAITING = 40
"""Jobs that are in line at most."""


class SoakBot(Bot):
    program = Path(__file__).with_name("soak_bot.py")


@dataclass(frozen=True)
class Figures:
    megabytes: float
    files: int
    threads: int
    tasks: int

    @classmethod
    def of(cls, pid: int, tasks: int) -> "Figures":
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return cls(
            megabytes=int(fields["VmRSS"].split()[0]) / 1024,
            files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            threads=int(fields["Threads"]),
            tasks=tasks,
        )

    def __str__(self) -> str:
        return (
            f"{self.megabytes:.0f} MB, {self.files} files, {self.threads} threads, "
            f"{self.tasks} tasks"
        )

    def grown(self, since: "Figures") -> list[str]:
        return [
            f"{name}: {getattr(since, name):.0f} → {getattr(self, name):.0f}"
            for name, allowed in GROWTH.items()
            if getattr(self, name) - getattr(since, name) > allowed
        ]


class Soak:
    """One bot, restarted `restarts` times along the way."""

    def __init__(self, bot: SoakBot, notes: Path, *, users: int, seed: int) -> None:
        self._bot = bot
        self._playground = bot.playground
        self._notes = notes
        self._chance = random.Random(seed)
        self._users = [self._playground.user(f"user-{n}") for n in range(users)]
        self.asked = 0

    async def live(self, jobs: int, until: float) -> tuple[Figures, Figures]:
        """One life of the process: figures when it was warm, and at its end."""
        await self._bot.start()
        await self._ask(min(WARM, jobs), until)
        warm = await self._figures()
        await self._ask(max(0, jobs - WARM), until)
        end = await self._figures()
        await self._bot.end()
        return warm, end

    async def _ask(self, jobs: int, until: float) -> None:
        for _ in range(jobs):
            if time.monotonic() > until:
                break
            await self._one()
            await self._shorter_than(WAITING)
        await self._shorter_than(0)

    async def _shorter_than(self, length: int) -> None:
        """Wait until no more than so many jobs are open."""
        while self._open() > length:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def _one(self) -> None:
        user = self._chance.choice(self._users)
        self.asked += 1
        with suppress(NotAcknowledged, ClientRefused):
            results = [m for m in self._playground.messages()[-30:] if m.attachments]
            if results and self._chance.random() < 0.2:
                await user.react(self._chance.choice(results), self._chance.choice("🔁🎲"))
                return
            call = await user.slash("imagine", prompt=f"job {self.asked}", steps=2)
            if call.message is not None and self._chance.random() < 0.1:
                await self._cancel(user, call.message)

    async def _cancel(self, user: User, message: Message) -> None:
        """Press what cancels it, if there is such a button."""
        for row in message.components:
            for button in row.get("components", ()):
                if str(button.get("custom_id", "")).startswith("cancel:"):
                    await user.click(message, button["custom_id"])
                    return

    def _open(self) -> int:
        rows = self._bot.home.rows(
            "SELECT count(*) FROM jobs WHERE state IN ('pending', 'running', 'done')"
        )
        return int(rows[0][0])

    async def _figures(self) -> Figures:
        await asyncio.sleep(2)  # what is being cleared away is not counted
        return Figures.of(self._bot.pid, int(self.notes()[-1]["tasks"]))

    def notes(self) -> list[dict[str, float]]:
        lines = self._notes.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


async def soak(jobs: int, users: int, restarts: int, minutes: float, seed: int) -> bool:
    """Run and print; whether nothing grew and nothing was left."""
    until = time.monotonic() + minutes * 60
    sound = True
    with tempfile.TemporaryDirectory() as folder:
        home = ChaosHome(Path(folder) / "home", Path(folder) / "models")
        notes = Path(folder) / "notes.jsonl"
        async with Playground() as playground:
            bot = SoakBot(home, playground, SOAK_FILE=str(notes))
            soaking = Soak(bot, notes, users=users, seed=seed)
            try:
                for life in range(1, restarts + 2):
                    warm, end = await soaking.live(jobs // (restarts + 1), until)
                    print(f"life {life}: warm {warm}; at its end {end}", flush=True)  # noqa: T201
                    for figure in end.grown(warm):
                        print(f"    grew: {figure}")  # noqa: T201
                        sound = False
            finally:
                await bot.__aexit__()
            states = home.states()
            counted = {state: states.count(state) for state in sorted(set(states))}
            late = sorted(note["late"] for note in soaking.notes())
            worst, usual = late[-1] * 1000, late[len(late) // 2] * 1000
            print(f"{soaking.asked} asked: {counted}")  # noqa: T201
            print(f"event loop: stalls of {usual:.0f} ms usually, {worst:.0f} ms at most")  # noqa: T201
            for violation in playground.violations[:10]:
                print(f"    {violation}")  # noqa: T201
            return sound and not playground.violations


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    arguments = (options.jobs, options.users, options.restarts, options.minutes, options.seed)
    return 0 if asyncio.run(soak(*arguments)) else 1


if __name__ == "__main__":
    sys.exit(main())
