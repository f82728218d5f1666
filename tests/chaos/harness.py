"""Chaos: the real process is killed again and again; at the end every job is accounted for."""

import asyncio
import io
import json
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image

from bot.store import CRASHES_MAX
from playground import Channel, Interaction, Message, NotAcknowledged, Playground, User
from playground.faults import Storm
from tests.chaos.light_bot import SILENCE
from tests.chaos.plans import Plan, Tally
from tests.chaos.victims import Victim, engines_of
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
ONLINE = 120
"""Seconds for coming online, on a machine that is busy with other things too."""
COMPARED = 40
"""Images whose pixels are looked at."""
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


class Chaos:
    """One plan, one home, one Discord.

    others: what is killed besides the bot, while it runs. pixels: what the image of a seed is, in
    64x64; None: they are not compared.
    """

    def __init__(
        self,
        plan: Plan,
        playground: Playground,
        bot: Bot,
        others: Sequence[Victim] = (),
        pixels: Callable[[int], bytes] | None = None,
    ) -> None:
        self.plan = plan
        self._others = others
        self._turns: list[Victim | None] = []
        self._pixels = pixels
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
        alive = False
        for life in range(1, plan.kills + 1):
            due = plan.jobs * life // plan.kills
            if not alive:
                await self._bot.start(online=False)
                if self._chance.random() < 0.25 and life > 1:
                    await asyncio.sleep(self._chance.uniform(0, plan.starting))
                    await self._kill("while starting")
                    continue
                await playground.wait_online(timeout=ONLINE)
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
            if (victim := self._victim()) is not None:
                alive = True
                await self._strike(victim)
                await asking
                continue
            alive = False
            await self._kill("at work")
            asking.cancel()
            with suppress(asyncio.CancelledError, NotAcknowledged):
                await asking
        if not alive:
            await self._bot.start(online=False)
            await playground.wait_online(timeout=ONLINE)
        await self._ask(plan.jobs)
        playground.set_weather(None)
        await playground.wait_for(self._settled, timeout=15 + plan.jobs)
        await self._bot.end(signal.SIGTERM)
        await self._compare()
        return self._count()

    def _victim(self) -> Victim | None:
        """What is killed next: each as often as the others, in any order. None: the bot."""
        if not self._others:
            return None
        if not self._turns:
            self._turns = [None, *self._others]
            self._chance.shuffle(self._turns)
        return self._turns.pop()

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
                    call = await user.slash(
                        "imagine", prompt=prompt, seed=seed, steps=self.plan.steps, channel=channel
                    )
                    self._calls.append(call)
                    if self.plan.forgetful and self._chance.random() < 0.5:
                        call.dead = True
                        if call.message is not None:
                            self._playground.delete_message(call.message)
            await self._playground.wait_online(timeout=ONLINE)

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
        """SIGKILL of the bot."""
        await self._stand_still()
        painting = self._query("SELECT 1 FROM jobs WHERE state = 'running'")
        painted = self._query("SELECT 1 FROM jobs WHERE state = 'done'")
        detail = "painting" if painting else "delivering" if painted else "idle"
        self.tally.kills[when if when == "while starting" else detail] += 1
        engines = [pid for pid, _ in engines_of(self._bot.pid)]
        await self._bot.end(signal.SIGKILL)
        # They end with it, or they would keep the GPU's memory.
        await until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in engines))

    async def _strike(self, victim: Victim) -> None:
        """SIGKILL of something else, and soon another in its place."""
        running = f"SELECT 1 FROM jobs WHERE state = 'running' AND {victim.lanes}"
        killed, when = False, ""
        async with asyncio.timeout(LONG):
            while not killed:  # it may be about to start
                await self._stand_still(victim.lanes)
                when = "painting" if self._query(running) else "idle"
                killed = victim.kill()
                self._bot.send(signal.SIGCONT)
                await asyncio.sleep(0.05)
        self.tally.kills[f"{victim.name} {when}"] += 1
        # Before anybody has missed it, or so late that its jobs are given up meanwhile.
        await victim.replace(self._chance.choice(self.plan.away) * SILENCE)

    async def _stand_still(self, lanes: str = "1") -> None:
        """Stop the bot, so that nothing changes meanwhile, as soon as no job that runs on `lanes`
        would be given up as poison if it were lost once more.
        """
        poison = (
            f"SELECT 1 FROM jobs WHERE state = 'running' AND crashes >= {CRASHES_MAX - 1}"
            f" AND {lanes}"
        )
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
        [[again]] = self._query("SELECT coalesce(sum(attempt) - count(*), 0) FROM jobs")
        tally.again = int(again)
        known = {found for (found,) in self._query("SELECT interaction_id FROM discord_jobs")}
        tally.unstored = sum(call.id not in known for call in self._calls)
        tally.violations += [
            violation
            for violation in self._playground.violations
            if not any(code in violation for code in EXPECTED)
        ]
        tally.violations += self._settings_lost()
        return tally

    def _shown(self) -> Iterator[Message]:
        """Each message that has an image."""
        for channel in self._channels:
            for message in self._playground.messages(channel):
                if message.attachments and not message.ephemeral:
                    yield message

    def _results(self) -> Iterator[str]:
        return map(job_of, self._shown())

    async def _compare(self) -> None:
        """Whether the images are what they are in a run that nothing disturbs."""
        if self._pixels is None:
            return
        seeds = dict(self._query("SELECT id, json_extract(request, '$.seed') FROM jobs"))
        shown = [*self._shown()]
        for message in self._chance.sample(shown, min(COMPARED, len(shown))):
            data = await self._playground.download(message.attachments[0])
            with Image.open(io.BytesIO(data)) as image:
                self.tally.compared += 1
                if image.tobytes() != self._pixels(seeds[job_of(message)]):
                    self.tally.violations.append(f"other pixels: {job_of(message)}")
