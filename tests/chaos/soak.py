"""The soak, `make soak`: many jobs, users, reactions, cancels and restarts, with the demo model.

RAM, open files, threads and tasks are recorded; they must not grow. It ends when the jobs are done
or the minutes are over, whichever comes first.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from playground import ClientRefused, Message, NotAcknowledged, Playground, User
from tests.chaos.harness import ChaosHome
from tests.e2e.home import Bot

WARM = 100
"""Jobs after a start until which the process may still grow: libraries, caches, pools."""
GROWTH = {"megabytes": 48.0, "files": 8, "threads": 4, "tasks": 8}
"""How much each figure may grow from when the process was warm to its end, and from the first warm
process to the last."""
WAITING = 40
"""The most jobs in the queue."""
LEFT = 20
"""Jobs that are waiting when a restart happens."""
CLEARING = 300.0
"""Seconds after the time limit in which the last jobs must end."""
STALL = 0.05
"""Seconds for which the event loop of a warm bot may block."""
HEARTBEAT = 2.0
"""Seconds between heartbeats. Discord's interval is 41; a shorter one shows more of them."""
HEARTBEAT_LATE = 0.25
"""Seconds by which one may be late, as generating shares the computer with it."""
ENDED_WELL = ("delivered", "cancelled")


class SoakBot(Bot):
    program = Path(__file__).with_name("soak_bot.py")
    cold = True


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
    """Run one bot, restarted `restarts` times along the way."""

    def __init__(self, bot: SoakBot, notes: Path, *, users: int, seed: int) -> None:
        self._bot = bot
        self._playground = bot.playground
        self._notes = notes
        self._chance = random.Random(seed)
        self._users = [self._playground.user(f"user-{n}") for n in range(users)]
        self._reacted: set[tuple[int, int, str]] = set()
        self.asked = 0
        self.stalls: list[float] = []

    async def live(self, jobs: int, until: float, left: int) -> tuple[Figures, Figures]:
        """One run of the process: its figures when warm, and at its end.

        left: jobs still waiting when it ends.
        """
        await self._bot.start()
        await self._ask(min(WARM, jobs), until)
        await self._shorter_than(0, until)
        warm, since = await self._figures(), len(self.notes())
        await self._ask(max(0, jobs - WARM), until)
        await self._shorter_than(0, until)
        end = await self._figures()
        self.stalls += [note["late"] for note in self.notes()[since:]]
        await self._ask(left, until, at_once=True)
        await self._bot.end()
        return warm, end

    async def _ask(self, jobs: int, until: float, *, at_once: bool = False) -> None:
        for _ in range(jobs):
            if time.monotonic() > until:
                break
            await self._one()
            if not at_once:
                await self._shorter_than(WAITING, until)

    async def _shorter_than(self, length: int, until: float) -> None:
        """Wait until at most this many jobs are open. Raises TimeoutError if that never happens."""
        async with asyncio.timeout(max(0.0, until - time.monotonic()) + CLEARING):
            while self._open() > length:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def _one(self) -> None:
        user = self._chance.choice(self._users)
        self.asked += 1
        with suppress(NotAcknowledged, ClientRefused):
            results = [m for m in self._playground.messages()[-30:] if m.attachments]
            if results and self._chance.random() < 0.2:
                result, emoji = self._chance.choice(results), self._chance.choice("🔁🎲")
                reaction = (user.id, result.id, emoji)
                if reaction not in self._reacted:  # a second one by the same user has no effect
                    self._reacted.add(reaction)
                    await user.react(result, emoji)
                    return
            call = await user.slash("imagine", prompt=f"job {self.asked}", steps=2)
            if call.message is not None and self._chance.random() < 0.1:
                await self._cancel(user, call.message)

    async def _cancel(self, user: User, message: Message) -> None:
        """Press the cancel button, if there is one."""
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
        await asyncio.sleep(2)  # so that what is being cleaned up is not counted
        return Figures.of(self._bot.pid, int(self.notes()[-1]["tasks"]))

    def notes(self) -> list[dict[str, float]]:
        lines = self._notes.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


def faults(
    lives: Sequence[tuple[Figures, Figures]],
    states: Sequence[str],
    stalls: Sequence[float],
    heartbeats: Sequence[float],
    violations: Sequence[str],
) -> list[str]:
    """The problems that fail the soak. lives: the figures of each run, warm and at its end.

    heartbeats: seconds by which each was late.
    """
    found = [
        f"life {life}: {grown}"
        for life, (warm, end) in enumerate(lives, start=1)
        for grown in end.grown(warm)
    ]
    if lives:
        found += [f"from life to life: {grown}" for grown in lives[-1][0].grown(lives[0][0])]
    wrong = Counter(state for state in states if state not in ENDED_WELL)
    found += [f"{count} jobs {state}" for state, count in sorted(wrong.items())]
    if (worst := max(stalls, default=0.0)) > STALL:
        found.append(f"the event loop stood still for {worst * 1000:.0f} ms")
    if (worst := max(heartbeats, default=0.0)) > HEARTBEAT_LATE:
        found.append(f"a heartbeat was {worst * 1000:.0f} ms late")
    return [*found, *violations]


async def soak(jobs: int, users: int, restarts: int, minutes: float, seed: int) -> bool:
    """Run and print the result; whether nothing leaked, blocked, was late, failed or was left."""
    until = time.monotonic() + minutes * 60
    lives: list[tuple[Figures, Figures]] = []
    late: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        home = ChaosHome(Path(folder) / "home", Path(folder) / "models")
        notes = Path(folder) / "notes.jsonl"
        async with Playground() as playground:
            gateway = playground.gateway
            gateway.heartbeat_interval_ms = round(HEARTBEAT * 1000)
            bot = SoakBot(home, playground, SOAK_FILE=str(notes))
            soaking = Soak(bot, notes, users=users, seed=seed)
            try:
                for life in range(1, restarts + 2):
                    left = LEFT if life <= restarts else 0
                    warm, end = await soaking.live(jobs // (restarts + 1) - left, until, left)
                    lives.append((warm, end))
                    print(f"life {life}: warm {warm}; at its end {end}", flush=True)  # noqa: T201
            except TimeoutError:
                late.append(f"jobs were still open {CLEARING:.0f} s past the time")
            finally:
                await bot.__aexit__()
            states = home.states()
            print(f"{soaking.asked} asked: {dict(Counter(states))}")  # noqa: T201
            if stalls := sorted(soaking.stalls):
                worst, usual = stalls[-1] * 1000, stalls[len(stalls) // 2] * 1000
                print(f"event loop: stalls of {usual:.0f} ms usually, {worst:.0f} ms at most")  # noqa: T201
            beats = gateway.heartbeats_late
            print(  # noqa: T201
                f"{gateway.heartbeats} heartbeats, every {HEARTBEAT:g} s; the latest of them "
                f"{max(beats, default=0.0) * 1000:.0f} ms late"
            )
            wrong = faults(lives, states, stalls, beats, [*late, *playground.violations])
            for fault in wrong:
                print(f"    {fault}")  # noqa: T201
            return not wrong


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
