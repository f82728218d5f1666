"""/queue, /cancel, /pause and the limits, through the real process.

Nothing depends on speed, because the queue stands still while it is paused.
"""

import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from playground import ClientRefused, Interaction, Message, Playground, Role, User
from playground.state import COMMAND
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

QUOTA = 5


@dataclass
class Club:
    """A server whose members may use the bot; one is its administrator, another a moderator."""

    bot: Bot
    playground: Playground
    member: Role
    admin: User
    moderator: User
    blocked: User

    def person(self, name: str) -> User:
        user = self.playground.user(name)
        self.playground.give_role(user, self.member)
        return user

    def states(self, *calls: Interaction) -> list[str]:
        ids = [call.message.id for call in calls if call.message]
        [*rows] = self.bot.home.rows(
            "SELECT message_id, state FROM jobs JOIN discord_jobs ON job_id = id"
        )
        return [dict(rows)[message_id] for message_id in ids]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def club(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> AsyncIterator[Club]:
    home = Home(tmp_path_factory.mktemp("club"), models_dir)
    async with Playground() as playground:
        member = playground.add_role("member")
        favoured = playground.add_role("favoured")
        blocked = playground.user("blocked")
        settings = {
            "IMAGEN_ALLOWED_ROLES": f"{member.id}, {favoured.id}",
            "IMAGEN_PRIORITY_ROLES": str(favoured.id),
            "IMAGEN_BLOCKED_USERS": str(blocked.id),
            "IMAGEN_DAILY_PICTURES": str(QUOTA),
            "IMAGEN_IDLE_MINUTES": "0.002",
        }
        admin, moderator = playground.user("admin"), playground.user("moderator")
        playground.give_role(admin, playground.add_role("admin", "administrator"))
        playground.give_role(moderator, playground.add_role("moderator", "manage_messages"))
        playground.give_role(playground.user("favourite"), favoured)
        async with Bot(home, playground, **settings) as bot:
            await playground.wait_commands("queue", "cancel", "pause", "resume")
            yield Club(bot, playground, member, admin, moderator, blocked)
            assert CANARY not in bot.log
            assert "Traceback" not in bot.log
            assert playground.violations == []


async def ask(user: User, **options: Any) -> Interaction:
    call = await user.slash("imagine", **{"prompt": CANARY, **options})
    assert call.message is not None
    assert not call.ephemeral, call.message.content
    return call


def line(call: Interaction) -> str:
    assert call.message is not None
    return str(call.message.embeds[0]["fields"][0]["name"])


async def said(call: Interaction) -> str:
    """A private answer."""
    message = await call.wait()
    assert call.ephemeral
    return message.content


def is_cancelled(message: Message) -> bool:
    return message.embeds[0].get("title") == "Cancelled" and not message.components


@pytest.mark.long
async def test_a_paused_line_is_fair_can_be_seen_cancelled_and_outlives_a_restart(
    club: Club,
) -> None:
    ada, bea = club.person("ada"), club.person("bea")
    await painted(ada, prompt=CANARY)  # so that ada was served already, and durations are known
    await painted(bea, prompt=CANARY)
    await until(lambda: "freeing the GPU's memory" in club.bot.log)
    await painted(ada, prompt=CANARY)

    with pytest.raises(ClientRefused):
        await ada.slash("pause")
    assert (await said(await club.admin.slash("pause"))).startswith("Paused")
    a1, a2 = await ask(ada, prompt=f"first {CANARY}"), await ask(ada)
    b1 = await ask(bea)
    # Bea came last, and was served the longest time ago.
    assert line(b1) == "Paused by the bot's owner, **#1** in line"
    await a2.wait(lambda m: "#3" in m.text)
    f1 = await ask(club.playground.user("favourite"), model="second")
    assert "**#1**" in line(f1)

    seen = await (await ada.slash("queue")).wait()
    shown = seen.embeds[0]
    assert "Paused by the bot's owner" in shown["description"]
    order = [part.split(" ·")[0] for part in shown["description"].splitlines()[1:]]
    favourite = f1.user.id
    assert order == [
        f"**#1** <@{favourite}>",
        f"**#2** <@{bea.id}>",
        f"**#3** <@{ada.id}>",
        f"**#4** <@{ada.id}>",
    ]
    assert f"**#3** · first {CANARY}" in shown["fields"][0]["value"]
    assert CANARY not in shown["description"]

    assert a2.message is not None
    foreign = f"Only <@{ada.id}> and moderators can cancel this one."
    assert await said(await bea.click(a2.message, "Cancel")) == foreign
    choices = await club.moderator.autocomplete("cancel", "job", "")
    assert [choice.name for choice in choices] == [
        "#1 · second, from someone else",
        "#2 · demo, from someone else",
        "#3 · demo, from someone else",
        "#4 · demo, from someone else",
    ]
    assert not await club.person("cleo").autocomplete("cancel", "job", "")
    assert await said(await club.moderator.click(a2.message, "Cancel")) == "Cancelled."
    await a2.wait(is_cancelled)
    again = await club.moderator.slash("cancel", job=choices[3].value)
    assert await said(again) == "That one has already finished."

    assert await club.bot.end(signal.SIGTERM) == 0
    await club.bot.start()
    assert club.states(a1, a2, b1, f1) == ["pending", "cancelled", "pending", "pending"]
    a3 = await ask(ada)
    assert line(a3) == "Paused by the bot's owner, **#4** in line"
    assert a3.message is not None
    # The button on a message from before the restart, and one from after it.
    assert await said(await ada.click(a3.message, "Cancel")) == "Cancelled."
    assert await said(await club.admin.slash("resume")) == "Resumed. 3 jobs waiting."
    for call in (a1, b1, f1):
        await club.playground.wait_message(
            lambda m, call=call: m.id == call.message.id and bool(m.attachments),  # type: ignore[misc]
            timeout=90,
        )
    begun = (
        "SELECT message_id FROM jobs JOIN discord_jobs ON job_id = id"
        " WHERE started_at IS NOT NULL ORDER BY started_at"
    )
    rows = club.bot.home.rows(begun)
    expected = [call.message.id for call in (f1, b1, a1) if call.message]
    assert [message_id for (message_id,) in rows][-3:] == expected


@pytest.mark.long
async def test_a_running_job_stops_and_a_waiting_one_is_told_when_it_will_be_ready(
    club: Club,
) -> None:
    dora, emil = club.person("dora"), club.person("emil")
    for _ in range(3):
        await painted(emil, prompt=CANARY)  # so that there is something to learn from
    slow = {"size": "256x256", "steps": 100}
    running = await ask(dora, **slow)
    await running.wait(lambda m: "Step" in m.text)
    waiting = await ask(emil)
    assert line(waiting) == "Queued, **#2** in line"
    assert waiting.message is not None
    assert waiting.message.embeds[0]["fields"][0]["value"].startswith("Ready <t:")
    shown = await (await emil.slash("queue")).wait()
    assert f"▶️ <@{dora.id}>" in shown.embeds[0]["description"]
    assert "ready <t:" in shown.embeds[0]["description"]

    assert running.message is not None
    assert await said(await emil.click(running.message, "Cancel")) == (
        f"Only <@{dora.id}> and moderators can cancel this one."
    )
    assert await said(await dora.slash("cancel")) == "Stopping after the current step."
    await running.wait(is_cancelled)
    await waiting.wait(lambda m: bool(m.attachments))
    assert club.states(running) == ["cancelled"]
    assert await said(await dora.slash("cancel")) == "You have nothing in the queue."

    again = await ask(dora, **slow)
    await again.wait(lambda m: "Step" in m.text)
    assert again.message is not None
    stopped = await club.moderator.click(again.message, "Cancel")
    assert await said(stopped) == "Stopping after the current step."
    await again.wait(is_cancelled)


async def test_who_may_not_is_told_why_and_nothing_is_stored(club: Club) -> None:
    before = len(club.bot.home.states())
    club.playground.give_role(club.blocked, club.member)
    for user, expected in (
        (club.blocked, "has blocked you"),
        (
            club.playground.user("stranger"),
            f"You need the role <@&{club.member.id}> or 1 other role",
        ),
    ):
        call = await user.slash("imagine", prompt=CANARY)
        assert expected in await said(call)
    fay = club.person("fay")
    picture = ("image.png", b"x")
    refused = await club.blocked.slash("imagine", prompt=CANARY, image=picture)
    assert "has blocked you" in await said(refused)
    assert len(club.bot.home.states()) == before
    await painted(fay, prompt=CANARY, count=4)
    call = await fay.slash("imagine", prompt=CANARY, count=2)
    assert f"over your limit of {QUOTA} images in 24 hours. You can ask for this <t:" in await said(
        call
    )
    await painted(fay, prompt=CANARY, count=1)
    assert len(club.bot.home.states()) == before + 2


async def test_a_forged_command_does_not_pause(club: Club) -> None:
    """As if a server had allowed the command for everyone."""
    mallory = club.person("mallory")
    data, _ = club.admin._picker(club.playground.channel).slash("pause", {})
    forged = Interaction(club.playground.core, COMMAND, mallory, club.playground.channel, data)
    await forged.start()
    assert await said(forged) == "Only the owner of this bot can use this."
    await painted(mallory, prompt=CANARY)
