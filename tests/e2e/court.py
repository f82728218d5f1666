"""A server with /admin, another with moderators, and what they send."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from bot.store import Store, discord_community
from playground import Channel, Guild, Interaction, Message, Playground, TeamMember, User
from playground.state import COMMAND, COMPONENT
from tests.e2e.acting import BUTTON, ROW, answer, forged, outcome
from tests.e2e.conftest import CANARY
from tests.e2e.home import LORAS, MODELS, Bot, Home
from tests.e2e.results import job_of
from tests.e2e.test_rights import GATED_LORA, SMALL


@dataclass
class Court:
    """office: a channel of the server with /admin. hall: one of another server, whose audit channel
    is `log`. tess: the owner of the team."""

    bot: Bot
    playground: Playground
    tess: User
    office: Channel
    hall: Channel
    log: Channel

    @classmethod
    @asynccontextmanager
    async def open(cls, home: Home) -> AsyncIterator[Self]:
        """A bot with these servers; when it ends, it must have broken no rule."""
        (home.catalog_dir / "models.toml").write_text(
            MODELS.replace("nsfw = true", SMALL), encoding="utf-8"
        )
        (home.catalog_dir / "loras.toml").write_text(LORAS + GATED_LORA, encoding="utf-8")
        async with Playground() as playground:
            tess = playground.user("tess")
            playground.set_team(
                TeamMember(tess),
                TeamMember(playground.user("dev"), role="developer"),
                TeamMember(playground.user("rea"), role="read_only"),
                TeamMember(playground.user("ivy"), accepted=False),
            )
            boss = playground.add_role("boss", "administrator")
            for name in ("tess", "dev", "rea", "ivy", "manager"):
                playground.give_role(playground.user(name), boss)
            guild = playground.add_guild("hall")
            playground.add_role("mod", "manage_messages", guild=guild)
            hall, log = playground.add_channel("hall", guild), playground.add_channel("log", guild)
            await _choose_audit_channel(home, guild, log)
            settings = {
                "IMAGEN_ADMIN_SERVERS": str(playground.guild.id),
                "IMAGEN_QUEUE_PER_USER": "100",
                "IMAGEN_QUEUE_SIZE": "1000",
            }
            async with Bot(home, playground, **settings) as bot:
                await playground.wait_for(
                    lambda: playground.guild.id in playground.core.world.commands
                )
                yield cls(bot, playground, tess, playground.channel, hall, log)
                assert CANARY not in bot.log
                assert "Traceback" not in bot.log
                assert "incident" not in bot.log
                assert playground.violations == []

    async def admin(self, command: str, /, by: User | None = None, **options: Any) -> str:
        """What an owner is told."""
        call = await (by or self.tess).slash(f"admin {command}", channel=self.office, **options)
        message = await answer(call)
        assert message.ephemeral
        return message.text

    async def told(self, text: str, channel: Channel | None = None) -> Message:
        """The line that someone was told, the owners unless `channel` says where."""
        where = channel or self.playground.dm(self.tess)
        return await self.playground.wait_message(lambda m: text in m.content, where)

    def mod(self, name: str) -> User:
        user = self.playground.user(name)
        hall = self.hall.guild
        assert hall is not None
        role = next(r for r in hall.roles.values() if r.name == "mod")
        hall.members[user.id].role_ids.append(role.id)
        return user

    async def reported(self, reporter: str, image: Message, where: Channel) -> Message:
        """A report of `image`, as it reaches `where`."""
        user = self.playground.user(reporter)
        reason = f"it shows me, {reporter}"
        call = forged(
            self.playground,
            user,
            image.channel,
            image,
            "reportform",
            job_of(image),
            reason=reason,
        )
        assert "has been sent" in await outcome(call)
        return await self.told(reason, where)


async def _choose_audit_channel(home: Home, guild: Guild, channel: Channel) -> None:
    async with Store.open(home.database):
        pass
    connection = sqlite3.connect(home.database)
    place = discord_community(guild.id)
    connection.execute(
        "INSERT INTO level_settings (level, place, community, settings, changed_at)"
        " VALUES ('server', ?, ?, ?, 0)",
        (place, place, json.dumps({"audit_channel": channel.id})),
    )
    connection.commit()
    connection.close()


def command(
    court: Court, user: User, channel: Channel, /, *names: str, **options: Any
) -> Interaction:
    """/admin …, as somebody could send it who can make a client say anything."""
    data: dict[str, Any] = {"options": []}
    inner = [{"type": 3, "name": name, "value": value} for name, value in options.items()]
    for depth, name in enumerate(reversed(names)):
        inner = [{"type": 1 if depth == 0 else 2, "name": name, "options": inner}]
    data = {
        "id": "1",
        "name": "admin",
        "type": 1,
        "guild_id": str(court.office.guild.id),  # type: ignore[union-attr]
        "options": inner,
    }
    return Interaction(court.playground.core, COMMAND, user, channel, data)


def pressed(court: Court, user: User, channel: Channel, custom_id: str) -> Interaction:
    """A button with that id on the bot's latest message, wherever that is."""
    core = court.playground.core
    every = (m for c in core.world.channels.values() for m in c.messages.values() if m.author.bot)
    button = {"type": BUTTON, "style": 2, "label": "it", "custom_id": custom_id, "id": 2}
    source = replace(
        max(every, key=lambda m: m.id),
        channel=channel,
        components=[{"type": ROW, "id": 1, "components": [button]}],
    )
    data = {"custom_id": custom_id, "component_type": BUTTON, "id": 2}
    return Interaction(core, COMPONENT, user, channel, data, source=source)
