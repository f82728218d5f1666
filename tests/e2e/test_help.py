"""/help, commands that can be pressed, and the first message in a server."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from playground import Message, Playground, User
from playground.state import Guild
from tests.e2e.home import Bot, Home
from tests.e2e.results import parts
from tests.e2e.test_life import until
from tests.e2e.test_where import abroad, group

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

EVERYONE = ["first", "prompts", "models", "results", "privacy"]


def topics(message: Message) -> list[str]:
    [select] = [part for part in parts(message) if part["type"] == 3]
    return [option["value"] for option in select["options"]]


def named(message: Message) -> set[str]:
    """The commands that can be pressed."""
    return set(re.findall(r"</([a-z ]+):\d+>", message.text))


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def ready(shared: Bot) -> None:
    """Wait until the bot is ready."""
    await until(lambda: "online in" in shared.log)


async def test_topics_are_for_those_who_can_use_them(playground: Playground, ada: User) -> None:
    call = await ada.slash("help")
    assert call.message is not None
    assert call.ephemeral
    shown = topics(call.message)
    assert [topic for topic in shown if topic in EVERYONE] == EVERYONE
    assert not {"moderators", "owner"} & set(shown)
    assert {"imagine", "queue"} <= named(call.message)
    moderator = playground.user("moderates")
    playground.give_role(moderator, playground.add_role("mods", "manage_messages", "manage_guild"))
    asked = await moderator.slash("help", topic="moderators")
    assert asked.message is not None
    assert {"cancel", "moderate block", "moderate list"} <= named(asked.message)
    refused = await ada.slash("help", topic="moderators")
    assert refused.message is not None
    assert "no help about “moderators”" in refused.message.text


async def test_another_topic_takes_the_place_of_the_first(
    playground: Playground, ada: User
) -> None:
    call = await ada.slash("help", topic="models")
    message = call.message
    assert message is not None
    assert "loras" in named(message)
    [select] = [part for part in parts(message) if part["type"] == 3]
    chosen = await ada.select(message, select["custom_id"], ["prompts"])
    assert chosen.message is message
    assert "wildcards" in named(message)
    offered = {choice.value for choice in await ada.autocomplete("help", "topic", "resu")}
    assert offered == {"results"}


@pytest.mark.parametrize("place", [abroad, group])
async def test_it_names_only_what_can_be_used_there(
    playground: Playground, ada: User, place: object
) -> None:
    assert callable(place)
    where = place(playground, ada)
    call = await ada.slash("help", channel=where)
    assert call.message is not None
    ids = {entry["name"]: entry["id"] for entry in playground.core.world.commands[None].values()}
    for name, number in re.findall(r"</([a-z]+)[a-z ]*:(\d+)>", call.message.text):
        assert ids[name] == number
    assert "pause" not in call.message.text


async def test_in_other_languages(playground: Playground) -> None:
    for locale, word in (("de", "Erste Schritte"), ("fr", "Premiers pas")):
        call = await playground.user(f"speaks-{locale}", locale=locale).slash("help")
        assert call.message is not None
        assert word in call.message.text


def greetings(playground: Playground, guild: Guild, inviter: User) -> list[Message]:
    places = [playground.dm(inviter), *guild.channels.values()]
    return [m for place in places for m in playground.messages(place) if guild.name in m.text]


async def joined(playground: Playground, guild: Guild) -> None:
    """Wait until the bot has dealt with it: it answers a command there only afterwards."""
    user = playground.user("asks-there")
    await user.slash("queue", channel=next(iter(guild.channels.values())))


async def test_the_channel_is_told_once_by_default(playground: Playground, ada: User) -> None:
    guild = playground.add_guild("greeted", invited_by=ada, welcome=True, trusted=True)
    hello = await playground.wait_message(lambda m: "greeted" in m.text)
    # The invitation does not ask for the audit log, which says who it was.
    assert hello.channel is guild.system_channel
    assert {"imagine", "help"} <= named(hello)
    playground.remove_guild(guild)
    playground.join(guild)
    other = playground.add_guild("the next one", invited_by=ada, welcome=True)
    await playground.wait_message(lambda m: "the next one" in m.text)
    await joined(playground, other)
    assert greetings(playground, guild, ada) == [hello]


@pytest_asyncio.fixture(loop_scope="session")
async def trusted(tmp_path: Path, models_dir: Path) -> AsyncIterator[Bot]:
    """A bot that may read audit logs, that greets whoever invites it, and that needs a role."""
    async with Playground() as playground:
        role = playground.add_role("painters")
        home = Home(tmp_path / "home", models_dir)
        settings = {
            "IMAGEN_ALLOWED_ROLES": str(role.id),
            "IMAGEN_USER_INSTALL": "true",
            "IMAGEN_DIRECT_MESSAGES": "false",
            "IMAGEN_WELCOME": "inviter",
        }
        async with Bot(home, playground, **settings) as bot:
            await until(lambda: "online in" in bot.log)
            yield bot
        assert playground.violations == []


async def test_the_inviter_and_a_required_role(trusted: Bot) -> None:
    playground = trusted.playground
    ada, eve = playground.user("ada"), playground.user("eve")
    [role] = [role for role in playground.guild.roles.values() if role.name == "painters"]
    playground.give_role(ada, role)
    trusting = playground.add_guild("trusting", invited_by=ada, welcome=True, trusted=True)
    hello = await playground.wait_message(lambda m: "trusting" in m.text)
    assert hello.channel is playground.dm(ada)
    assert [m for m in greetings(playground, trusting, ada) if m is not hello] == []
    # A role is known of those who have it in some server of the bot.
    where = abroad(playground, ada)
    playground.install(eve)
    painted = await ada.slash("imagine", channel=where, prompt="fox")
    await painted.wait(lambda m: bool(m.attachments))
    refused = await eve.slash("imagine", channel=where, prompt="fox")
    assert refused.message is not None
    assert "requires a role" in refused.message.text
    # A server that invites it while it is away is greeted as well, those before are not.
    await trusted.end()
    playground.add_guild("unnoticed", invited_by=eve, welcome=True, trusted=True)
    await trusted.start()
    hello = await playground.wait_message(lambda m: "unnoticed" in m.text)
    assert hello.channel is playground.dm(eve)
    assert len([m for m in playground.messages(playground.dm(ada)) if "trusting" in m.text]) == 1
    # In direct messages nothing is offered but what concerns one's own data.
    registered = playground.core.world.commands[None].values()
    offered = {entry["name"] for entry in registered if 1 in entry["contexts"]}
    assert offered == {"privacy", "export", "forget"}
