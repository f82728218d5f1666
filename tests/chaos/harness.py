"""Chaos: the real process is killed again and again; at the end every job is accounted for."""

import asyncio
import json
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bot.store import CRASHES_MAX
from playground import Channel, Interaction, NotAcknowledged, Playground, User
from playground.faults import Storm
from tests.e2e.home import Bot, Home
from tests.e2e.results import job_of

MODELS = """
default = "demo"
[models.demo]
name = "Demo"
path = "builtin:flat"
size = [64, 64]
min_side = 64
steps = {min = 1, default = 4, max = 100}
"""
LONG = 60
"""Seconds after which an awaited event counts as lost."""
EXPECTED = (
    "40060",  # sent twice: discord.py repeats an acknowledgement whose response was lost
    "10062",  # the acknowledgement came too late, because the process was killed meanwhile
    "10015",  # an edit finds out whether it had arrived
)
"""Violations that killing a bot inevitably causes."""


class ChaosHome(Home):
    def __init__(self, folder: Path, models_dir: Path) -> None:
        super().__init__(folder, models_dir)
        (self.catalog_dir / "models.toml").write_text(MODELS, encoding="utf-8")
        (self.catalog_dir / "loras.toml").write_text("", encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "IMAGEN_QUEUE_SIZE": "10000",
            "IMAGEN_QUEUE_PER_USER": "1000",
        }


class LightBot(Bot):
    program = Path(__file__).with_name("light_bot.py")

    async def health(self) -> tuple[int, dict[str, str]]:
        """The status of the bot's health check and what it says, by part."""
        address = f"http://127.0.0.1:{self.settings['IMAGEN_METRICS_PORT']}/healthz"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            return answer.status, await answer.json()

    async def figures(self) -> dict[str, float]:
        """The bot's metrics from its IMAGEN_METRICS_PORT, by name and labels."""
        address = f"http://127.0.0.1:{self.settings['IMAGEN_METRICS_PORT']}/metrics"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            lines = (await answer.text()).splitlines()
        named = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in named}


class HurriedBot(Bot):
    program = Path(__file__).with_name("hurried_bot.py")
    cold = True


CHANGED = (
    ("server", "forced_spoiler", "yes"),
    ("server", "forced_spoiler", "no"),
    ("server", "forced_negative", "ugly"),
    ("channel", "reactions", "no"),
    ("channel", "reactions", "yes"),
    ("channel", "max_count", "2"),
    ("me", "compact", "yes"),
    ("me", "compact", "no"),
    ("me", "steps", "4"),
)
"""Level, name and value of the settings that are changed."""
LEVELS = {"me": "person", "channel": "channel", "server": "server"}
PLAIN: dict[str, Any] = {"yes": True, "no": False, "2": 2, "4": 4}


async def until(condition: Callable[[], bool]) -> None:
    """For what the playground cannot see: the bot's database and log."""
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _stands_still(pid: int) -> bool:
    """Whether all threads are stopped: a signal takes a moment, longer during disk I/O."""
    try:
        # The state comes after the name, which is in brackets.
        stats = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/stat")]
    except FileNotFoundError:
        return False  # a thread has just ended
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


@dataclass(frozen=True)
class Plan:
    """What is to happen. storm: how many of all requests fail at random.

    forgetful: nonces prevent no duplicates, as after a long absence; and half of the messages are
        deleted once their interaction has expired, so that the results need new messages.
    starting: the most seconds from its start to a kill before it is online.
    working: the most seconds from being online to a kill at work.
    settings: people and the server's manager change settings meanwhile, none of which refuses jobs.
    """

    seed: int
    jobs: int
    kills: int
    storm: float = 0.0
    forgetful: bool = False
    users: int = 7
    starting: float = 0.4
    working: float = 0.4
    settings: bool = False


@dataclass
class Tally:
    """What became of the jobs. unstored: acknowledged but not in the store."""

    stored: int = 0
    delivered: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unstored: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        how = ", ".join(f"{count} {what}" for what, count in sorted(self.kills.items()))
        return (
            f"{self.stored} jobs, {self.kills.total()} kills ({how}): {self.delivered} delivered, "
            f"{len(self.lost) + self.unstored} lost, {len(self.doubled)} doubled"
        )

    @property
    def perfect(self) -> bool:
        return not (self.lost or self.doubled or self.unstored or self.violations)


class Chaos:
    """One plan, one home, one Discord."""

    def __init__(self, plan: Plan, playground: Playground, bot: Bot) -> None:
        self.plan = plan
        self.tally = Tally()
        self._playground = playground
        self._bot = bot
        self._chance = random.Random(plan.seed)
        self._calls: list[Interaction] = []
        self._asked = 0
        self._channels = [playground.channel, playground.add_channel("second")]
        self._manager = playground.user("manager")
        playground.give_role(self._manager, playground.add_role("managers", "manage_guild"))
        self._set: dict[tuple[str, str, str], Any] = {}

    async def run(self) -> Tally:
        plan, playground = self.plan, self._playground
        playground.ack_deadline = 2.0
        if plan.forgetful:
            playground.forget_nonces()
        for life in range(1, plan.kills + 1):
            await self._bot.start(online=False)
            due = plan.jobs * life // plan.kills
            if self._chance.random() < 0.25 and life > 1:
                await asyncio.sleep(self._chance.uniform(0, plan.starting))
                await self._kill("while starting")
                continue
            await playground.wait_online()
            if life == 1:
                await playground.wait_commands("imagine")
                if plan.storm:
                    playground.set_weather(Storm(plan.seed, plan.storm))
            asking = asyncio.create_task(self._ask(due))
            if plan.storm and self._chance.random() < 0.3:
                playground.drop_gateway()
            if plan.storm and self._chance.random() < 0.3:
                playground.expire_interactions()
            await asyncio.sleep(self._chance.uniform(0, plan.working))
            await self._kill("at work")
            asking.cancel()
            with suppress(asyncio.CancelledError, NotAcknowledged):
                await asking
        await self._bot.start(online=False)
        await playground.wait_online()
        await self._ask(plan.jobs)
        playground.set_weather(None)
        await playground.wait_for(self._settled, timeout=15)
        await self._bot.end(signal.SIGTERM)
        return self._count()

    async def _ask(self, due: int) -> None:
        """Request jobs until `due` are stored."""
        while (missing := due - self._rows()) > 0:
            for _ in range(missing):
                self._asked += 1
                user = self._playground.user(f"user-{self._chance.randrange(self.plan.users)}")
                channel = self._chance.choice(self._channels)
                prompt, seed = f"job {self._asked}", self._asked
                if self.plan.settings:
                    await self._change_a_setting(user, channel)
                with suppress(NotAcknowledged):
                    call = await user.slash("imagine", prompt=prompt, seed=seed, channel=channel)
                    self._calls.append(call)
                    if self.plan.forgetful and self._chance.random() < 0.5:
                        call.dead = True
                        if call.message is not None:
                            self._playground.delete_message(call.message)
            await self._playground.wait_online()

    async def _change_a_setting(self, user: User, channel: Channel) -> None:
        """What is acknowledged has to be there at the end; what is not may be."""
        level, name, value = self._chance.choice(CHANGED)
        who = user if level == "me" else self._manager
        place = {"me": user.id, "channel": channel.id}.get(level, self._playground.guild.id)
        key = (LEVELS[level], f"discord:{place}", name)
        self._set.pop(key, None)
        with suppress(NotAcknowledged):
            call = await who.slash(
                "settings set", level=level, name=name, value=value, channel=channel
            )
            if call.message is not None and "Saved." in call.message.text:
                self._set[key] = value

    def _settings_lost(self) -> list[str]:
        """Those that were acknowledged and are not as they were set."""
        rows = self._query("SELECT level, place, settings FROM level_settings")
        stored = {(level, place): json.loads(settings) for level, place, settings in rows}
        return [
            f"setting lost: {level} {place} {name}"
            for (level, place, name), value in self._set.items()
            if stored.get((level, place), {}).get(name) != PLAIN.get(value, value)
        ]

    async def _kill(self, when: str) -> None:
        """SIGKILL, but not so often during the same job that it would be given up as poison.

        The process is stopped while the database is read, so nothing changes meanwhile.
        """
        poison = f"SELECT 1 FROM jobs WHERE state = 'running' AND crashes >= {CRASHES_MAX - 1}"
        async with asyncio.timeout(LONG):
            while True:
                self._bot.send(signal.SIGSTOP)
                await until(lambda: _stands_still(self._bot.pid))
                # A process stopped during a checkpoint keeps the database locked.
                with suppress(sqlite3.OperationalError):
                    if not self._query(poison):
                        break
                self._bot.send(signal.SIGCONT)
                await asyncio.sleep(0.05)
        painting = self._query("SELECT 1 FROM jobs WHERE state = 'running'")
        painted = self._query("SELECT 1 FROM jobs WHERE state = 'done'")
        detail = "painting" if painting else "delivering" if painted else "idle"
        self.tally.kills[when if when == "while starting" else detail] += 1
        await self._bot.end(signal.SIGKILL)

    def _settled(self) -> bool:
        return not self._query(
            "SELECT 1 FROM jobs WHERE state IN ('pending', 'running', 'done')"
            " OR (state = 'failed' AND told_at IS NULL)"
        )

    def _rows(self) -> int:
        found = self._query("SELECT count(*) FROM jobs")
        return int(found[0][0]) if found else 0

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self._bot.home.rows(sql)
        except sqlite3.OperationalError as error:
            if "no such table" in str(error) or "unable to open" in str(error):
                return []  # the first start has not created it yet
            raise

    def _count(self) -> Tally:
        tally, shown = self.tally, Counter(self._results())
        for job_id, state, why in self._query(
            "SELECT id, state, json_extract(error, '$.code') FROM jobs"
        ):
            tally.stored += 1
            seen = shown[str(job_id)]
            if seen == 1 and state == "delivered":
                tally.delivered += 1
            elif seen > 1:
                tally.doubled.append(str(job_id))
            else:
                tally.lost.append(f"{job_id} ({state}, {why}, seen {seen} times)")
        known = {found for (found,) in self._query("SELECT interaction_id FROM discord_jobs")}
        tally.unstored = sum(call.id not in known for call in self._calls)
        tally.violations = [
            violation
            for violation in self._playground.violations
            if not any(code in violation for code in EXPECTED)
        ]
        tally.violations += self._settings_lost()
        return tally

    def _results(self) -> Iterator[str]:
        """The job of each message that has an image."""
        for channel in self._channels:
            for message in self._playground.messages(channel):
                if message.attachments and not message.ephemeral:
                    yield job_of(message)
