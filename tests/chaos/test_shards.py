"""The real process with three shards: each is served, lost and resumed on its own."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from bot.store import ActKind, Store, discord_community
from playground import Channel, Playground, User
from tests.chaos.harness import LONG, ChaosHome, LightBot, until
from tests.e2e.home import free_port

SHARDS = 3


@pytest.fixture
async def playground() -> AsyncIterator[Playground]:
    async with Playground(shards=SHARDS) as playground:
        limits = playground.gateway.limits
        # Two identify at once, the third after a pause; the playground reports who does not wait.
        limits.concurrency, limits.window = 2, 0.2
        yield playground
        assert playground.violations == []


@pytest.fixture
def channels(playground: Playground) -> dict[int, Channel]:
    """A channel of a server of each shard, by its number."""
    found = {(playground.guild.id >> 22) % SHARDS: playground.channel}
    while len(found) < SHARDS:
        guild = playground.add_guild("another")
        if (number := (guild.id >> 22) % SHARDS) not in found:
            found[number] = playground.add_channel("there", guild)
    return found


@pytest.fixture
async def bot(
    home: ChaosHome, playground: Playground, channels: dict[int, Channel]
) -> AsyncIterator[LightBot]:
    async with LightBot(home, playground, IMAGEN_METRICS_PORT=str(free_port())) as bot:
        yield bot


def results(playground: Playground, *channels: Channel) -> Counter[str]:
    """The prompts that messages with an image are of."""
    return Counter(
        str(attachment.description or attachment.filename)
        for channel in channels
        for message in playground.messages(channel)
        for attachment in message.attachments
    )


async def painted(user: User, channel: Channel, prompt: str, **options: object) -> None:
    call = await user.slash("imagine", prompt=prompt, channel=channel, **options)
    await call.wait(lambda m: bool(m.attachments), timeout=LONG)


@pytest.mark.long
async def test_every_shard_is_served_and_mended_on_its_own(
    bot: LightBot, playground: Playground, ada: User, channels: dict[int, Channel]
) -> None:
    await playground.wait_commands("imagine")
    direct = playground.dm(ada)
    places = [*channels.values(), direct]
    for place in places:
        await painted(ada, place, f"in {place.id}")
    status, report = await bot.health()
    assert (status, report["discord"]) == (200, "ok")
    figures = await bot.figures()
    assert [
        figures[f'imagen_gateway_connected{{shard="{number}"}}'] for number in range(SHARDS)
    ] == [1, 1, 1]

    # One connection dies while something is painted for each; reactions come while it is away.
    identified = playground.gateway_identifies
    calls = [
        await ada.slash("imagine", prompt=f"again {n}", channel=p) for n, p in enumerate(places)
    ]
    playground.drop_gateway(1)
    for place in places:
        await ada.react(playground.messages(place)[0], "🔁")
    for call in calls:
        await call.wait(lambda m: bool(m.attachments), timeout=LONG)
    await playground.wait_for(lambda: playground.gateway_resumes == 1 and playground.online)
    playground.repeat_events(60)

    def all_there() -> bool:
        return all(len([m for m in playground.messages(p) if m.attachments]) == 3 for p in places)

    await playground.wait_for(all_there, timeout=LONG)
    assert playground.gateway_identifies == identified

    # Another loses its session.
    playground.invalidate_session(2)
    await playground.wait_for(
        lambda: playground.gateway_identifies == identified + 1 and playground.online
    )
    assert playground.gateway_resumes == 1

    # The third stays away: health says which, the others go on.
    playground.refuse_gateway_next(100_000)
    playground.drop_gateway(0)
    others = [channels[1], channels[2]]
    for place in others:
        await painted(ada, place, "meanwhile")
    status, report = await bot.health()
    assert (status, report["discord"]) == (503, "of 3 shards, not connected: 0")
    assert (await bot.figures())['imagen_gateway_connected{shard="0"}'] == 0
    playground.gateway.refusals = 0
    await playground.wait_online()
    await painted(ada, channels[0], "back")
    await painted(ada, direct, "back")
    assert (await bot.health())[0] == 200

    told = {event["t"] for each in playground.gateway.sessions.values() for event in each.events}
    assert "MESSAGE_REACTION_ADD" in told
    assert "MESSAGE_CREATE" not in told  # of which a large bot would get thousands a second

    asked = 4 * len(places)
    await until(lambda: bot.home.states() == ["delivered"] * asked)
    assert sum(results(playground, *places).values()) == asked


@pytest.mark.long
async def test_more_shards_are_begun_in_a_new_process(
    bot: LightBot, playground: Playground, ada: User, channels: dict[int, Channel]
) -> None:
    await playground.wait_commands("imagine")
    call = await ada.slash("imagine", prompt="unfinished", steps=60, channel=channels[1])
    playground.require_shards(5)
    playground.invalidate_session(0)

    def begun_anew() -> bool:
        counts = [session.shard[1] for session in playground.gateway.sessions.values()]
        return counts.count(5) == 5

    await playground.wait_for(begun_anew, timeout=LONG)
    await call.wait(lambda m: bool(m.attachments), timeout=LONG)
    for place in channels.values():
        await painted(ada, place, "after")
    assert "Discord asks for more shards" in bot.log
    assert "Traceback" not in bot.log
    await until(lambda: bot.home.states() == ["delivered"] * 4)


@pytest.mark.long
async def test_nothing_is_dropped_because_its_server_is_not_known_yet(
    home: ChaosHome, playground: Playground, ada: User, channels: dict[int, Channel]
) -> None:
    """Two sessions are left for today, so the third shard cannot begin."""
    limits = playground.gateway.limits
    limits.concurrency, limits.remaining = 1, 2
    await recorded(home, channels[2])
    async with LightBot(home, playground, IMAGEN_METRICS_PORT=str(free_port())).starting() as bot:
        await playground.wait_commands("imagine")
        await until(lambda: "allows no more new sessions today" in bot.log)
        await painted(ada, channels[0], "people can ask already")
        await painted(ada, channels[1], "here, too")
        assert (await bot.health())[1]["discord"] == "of 3 shards, not connected: 2"
        assert home.rows("SELECT told_at FROM acts") == [(None,)]


async def recorded(home: ChaosHome, channel: Channel) -> None:
    """An act in the channel's server, of which nobody was told yet."""
    assert channel.guild is not None
    async with Store.open(home.database) as store:
        community = discord_community(channel.guild.id)
        await store.acts.record(
            kind=ActKind.BLOCKED, actor="discord:1", community=community, subject="discord:2"
        )
