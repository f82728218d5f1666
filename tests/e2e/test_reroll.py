"""🔁 and 🎲 on results."""

import pytest

from playground import Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot
from tests.e2e.results import facts
from tests.e2e.test_imagine import painted

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def answer(playground: Playground, original: Message) -> Message:
    return await playground.wait_message(
        lambda m: m.reference == original.id and bool(m.attachments), timeout=60
    )


async def test_the_same_seed_gives_the_same_bytes_and_says_so(
    playground: Playground, ada: User
) -> None:
    original = await painted(ada, prompt=CANARY, lora="ember:0.4, frost", count=2, size="64x72")
    bea = playground.user("bea-reroll")
    await bea.react(original, "🔁")
    again = await answer(playground, original)
    assert "Identical to the original, byte for byte" in again.text
    assert again.mentions == {bea.id}
    assert facts(again) == facts(original)
    for one, two in zip(original.attachments, again.attachments, strict=True):
        assert await playground.download(one) == await playground.download(two)


@pytest.mark.long
async def test_a_new_seed_gives_another_picture(playground: Playground, ada: User) -> None:
    original = await painted(ada, prompt=CANARY, seed=9)
    await ada.react(original, "🎲")
    other = await answer(playground, original)
    assert "`9`" not in facts(other)
    assert "Identical" not in other.text
    assert await playground.download(other.attachments[0]) != await playground.download(
        original.attachments[0]
    )
    await ada.react(other, "🔁")
    assert "Identical" in (await answer(playground, other)).text


async def test_what_is_no_request_is_ignored(
    shared: Bot, playground: Playground, ada: User
) -> None:
    result = await painted(ada, prompt=CANARY)
    await playground.wait_for(lambda: {"🔁", "🎲"} <= set(result.reactions))
    before = len(shared.home.states())  # the bot's own two reactions did not make jobs
    talk = await ada.say(playground.channel, "hello")
    robot = playground.user("robot")
    robot.bot = True
    await ada.react(talk, "🔁")
    await ada.react(result, "❤️")
    await robot.react(result, "🔁")
    await ada.react(result, "🎲")
    await answer(playground, result)
    await ada.unreact(result, "🎲")
    await painted(ada, prompt=CANARY)  # any job from above would be earlier
    assert len(shared.home.states()) == before + 2


@pytest.mark.long
async def test_a_reaction_over_the_limit_is_refused_in_the_channel(
    playground: Playground, ada: User
) -> None:
    result = await painted(ada, prompt=CANARY, size="128x128", steps=100)
    for _ in range(3):
        await ada.slash("imagine", prompt=CANARY, size="128x128", steps=100)
    await ada.react(result, "🔁")
    refusal = f"<@{ada.id}> You already have 3 jobs"
    told = await playground.wait_message(lambda m: refusal in m.content)
    assert told.mentions == {ada.id}
