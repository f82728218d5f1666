"""/imagine as users use it, with the real process and the real discord.py."""

import hashlib
import io
import re
from typing import Any

import pytest
from PIL import Image

from bot.files.metadata import read_png
from playground import ClientRefused, Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot
from tests.e2e.results import facts, gallery, lines

pytestmark = pytest.mark.asyncio(loop_scope="session")


def fields(message: Message) -> dict[str, str]:
    return {field["name"]: field["value"] for field in message.embeds[0]["fields"]}


async def painted(user: User, **options: Any) -> Message:
    call = await user.slash("imagine", **options)
    return await call.wait(lambda message: bool(message.attachments), timeout=60)


async def test_every_option_arrives_in_the_picture(playground: Playground, ada: User) -> None:
    call = await ada.slash(
        "imagine",
        prompt=f"a {CANARY} in the snow",
        model="second",
        lora="ember:0.5, frost",
        negative="rain",
        steps=10,
        guidance=3.5,
        seed=42,
        size="64x96",
        count=2,
    )
    assert call.message is not None
    assert not call.ephemeral
    assert "New image" in call.message.embeds[0]["title"]
    message = await call.wait(lambda m: len(m.attachments) == 2, timeout=60)

    assert lines(message)[0] == f"a {CANARY} in the snow"
    assert facts(message).splitlines() == [
        "-# **Second model** · ember 0.5 · frost 1 · 64×96 · 10 steps · guidance 3.5"
        " · seeds `42` `43`",
        "-# Without: rain",
    ]
    assert message.mentions == set()
    for n, attachment in enumerate(message.attachments):
        assert attachment.filename == f"second-{42 + n}-{n + 1}.png"
        assert gallery(message)[n]["description"] == f"Image {n + 1} of 2: a {CANARY} in the snow"
        data = await playground.download(attachment)
        assert Image.open(io.BytesIO(data)).size == (64, 96)
        written = read_png(data)
        assert written.recipe is not None
        assert written.seed == 42 + n
        request = written.recipe.request
        assert request.painted_prompt == f"a {CANARY} in the snow, glowing embers"
        assert (request.negative, request.steps, request.guidance) == ("rain", 10, 3.5)
        assert request.scheduler == "Euler a"
        assert [(use.key, use.weight) for use in request.adapters] == [("ember", 0.5), ("frost", 1)]
        assert "<lora:ember:0.5>" in (written.parameters or "")


@pytest.mark.long
async def test_defaults_and_the_same_bytes_twice(playground: Playground, ada: User) -> None:
    first = await painted(ada, prompt=CANARY, seed=7)
    await painted(ada, prompt=f"something else with {CANARY}", model="second", lora="frost")
    again = await painted(ada, prompt=CANARY, seed=7)

    assert facts(first) == "-# **Demo** · seed `7`"  # all else is the model's default
    one, two = [await playground.download(m.attachments[0]) for m in (first, again)]
    assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()


@pytest.mark.long
async def test_tags_in_the_prompt_mean_the_same_as_the_option(
    playground: Playground, ada: User
) -> None:
    tagged = await painted(ada, prompt=f"{CANARY} <lora:ember:0.5>", seed=7)
    chosen = await painted(ada, prompt=CANARY, lora="Ember glow:0.5", seed=7)
    plain = await painted(ada, prompt=f"{CANARY}, glowing embers", seed=7)

    one, two, three = [await playground.download(m.attachments[0]) for m in (tagged, chosen, plain)]
    assert one == two
    assert read_png(one).parameters != read_png(three).parameters
    assert Image.open(io.BytesIO(one)).tobytes() != Image.open(io.BytesIO(three)).tobytes()


async def test_a_drawn_seed_is_reported_and_repeatable(playground: Playground, ada: User) -> None:
    drawn = await painted(ada, prompt=CANARY)
    seed = int(facts(drawn).split("`")[1])
    again = await painted(ada, prompt=CANARY, seed=seed)
    assert await playground.download(drawn.attachments[0]) == await playground.download(
        again.attachments[0]
    )


async def test_the_result_invites_to_react(playground: Playground, ada: User) -> None:
    message = await painted(ada, prompt=CANARY)
    await playground.wait_for(lambda: {"🔁", "🎲"} <= set(message.reactions))
    bot_id = message.author.id
    assert message.reactions["🔁"] == {bot_id}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model": "dmo"}, "no model called “dmo”. Did you mean demo"),
        ({"model": "pony-xl-v6"}, "hasn't enabled"),
        ({"model": "adults"}, "age-restricted"),
        ({"lora": "embr"}, "no LoRA called “embr”. Did you mean ember"),
        ({"lora": "ember:much"}, "“much” isn't a weight"),
        ({"lora": "ember:9"}, "Choose a value from -5.0 to 5.0"),
        ({"lora": "ember, ember"}, "twice. Name it once"),
        ({"lora": "ember, frost, old, style-001, style-002"}, "up to 4"),
        ({"steps": 500}, "steps: 500 won't work. Choose a value from 1 to 100"),
        ({"steps": 5, "model": "second"}, "Choose a value from 10 to 100"),
        ({"guidance": 0.5}, "Choose a value from 1.0 to 30.0"),
        ({"size": "65x64"}, "a multiple of 8"),
        ({"size": "640x64"}, "between 64 and 512"),
        ({"size": "huge"}, "such as `832x1216`"),
        ({"prompt": "<lora:ember>"}, "prompt is empty"),
    ],
)
async def test_a_wrong_value_is_refused_privately_and_stores_nothing(
    shared: Bot, ada: User, options: dict[str, Any], expected: str
) -> None:
    before = len(shared.home.states())
    call = await ada.slash("imagine", **{"prompt": CANARY, **options})
    assert call.message is not None
    assert call.ephemeral
    assert expected in call.message.content
    assert len(shared.home.states()) == before


@pytest.mark.parametrize(
    "options", [{"seed": 2**32}, {"seed": -2}, {"seed": "abc"}, {"count": 5}, {"count": 0}]
)
async def test_what_depends_on_no_model_is_bounded_by_discord(
    playground: Playground, ada: User, options: dict[str, Any]
) -> None:
    with pytest.raises(ClientRefused):
        await ada.slash("imagine", prompt=CANARY, **options)


@pytest.mark.long
async def test_age_restricted_models_paint_where_they_may(
    playground: Playground, ada: User
) -> None:
    channel = playground.nsfw_channel
    found = await ada.autocomplete("imagine", "model", "adu", channel=channel)
    assert [choice.value for choice in found] == ["adults"]
    assert not await ada.autocomplete("imagine", "model", "adults")
    call = await ada.slash(
        "imagine", prompt=CANARY, model="adults", size="512x512", steps=10, channel=channel
    )
    await call.wait(lambda message: bool(message.attachments), timeout=120)


async def test_an_adapter_that_cannot_fit_fails_kindly(playground: Playground, ada: User) -> None:
    call = await ada.slash("imagine", prompt=CANARY, lora="old")
    message = await call.wait(lambda m: m.embeds[0].get("color") == 0xE74C3C, timeout=60)
    assert "old" in message.embeds[0]["description"]
    assert not message.attachments
    await painted(ada, prompt=CANARY)


@pytest.mark.long
async def test_full_queue_and_the_share_of_one_user(playground: Playground, ada: User) -> None:
    slow: dict[str, Any] = {"prompt": CANARY, "size": "128x128", "steps": 100}
    calls = [await ada.slash("imagine", **slow) for _ in range(3)]
    lines = [call.message.embeds[0]["fields"][0]["name"] for call in calls if call.message]
    assert lines == ["Up next", "Queued, **#2** in line", "Queued, **#3** in line"]

    refused = await ada.slash("imagine", **slow)
    assert refused.ephemeral
    assert "already have 3 jobs" in refused.message.content  # type: ignore[union-attr]

    bea = playground.user("bea")
    calls += [await bea.slash("imagine", prompt=CANARY) for _ in range(3)]
    refused = await playground.user("cy").slash("imagine", prompt=CANARY)
    assert "queue is full (6 jobs)" in refused.message.content  # type: ignore[union-attr]

    # They take turns, and two may end between two edits.
    waiting = await calls[-1].wait(lambda m: bool(re.search("#[45]", m.text)))
    assert not waiting.attachments
    for call in calls:
        await call.wait(lambda message: bool(message.attachments), timeout=120)


@pytest.mark.long
async def test_the_message_follows_the_job(playground: Playground, ada: User) -> None:
    call = await ada.slash("imagine", prompt=CANARY, size="256x256", steps=100)
    message = await call.wait(lambda m: bool(m.attachments), timeout=120)
    seen = [snapshot.text for _, snapshot in message.edits]
    assert any("Step " in text and "▰" in text for text in seen)
    assert message.edits[-1][1].attachments
