"""What is only for age-restricted channels is named in no other, whatever is tried there."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from catalog.wildcard_files import WILDCARDS
from playground import Channel, File, Interaction, Message, Playground, User
from playground.core import Request
from playground.state import AUTOCOMPLETE, COMMAND
from tests.e2e.acting import ALL, forged, outcome
from tests.e2e.home import LORAS, MODELS, UPSCALERS, Bot, Home, write_lora
from tests.e2e.results import job_of
from tests.e2e.test_embeddings import write_embedding
from tests.e2e.test_imagine import painted
from tests.e2e.test_pictures import picture
from tests.e2e.test_queue import said

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "size = [64, 64]\nmin_side = 64\nsteps = {min = 1, default = 2, max = 100}\nnsfw = true\n"
MODEL = f'[models.vulpine-m]\nname = "vulpine model"\npath = "builtin:flat"\n{SMALL}'
LORA = """
[loras.vulpine-l]
name = "vulpine lora"
path = "loras/frost.safetensors"
trigger_words = ["vulpine trigger"]
nsfw = true
[loras.tied]
name = "Tied to it"
path = "loras/frost.safetensors"
models = ["vulpine-m"]
"""
EMBEDDING = """
[embeddings.vulpine-e]
name = "vulpine embedding"
path = "embeddings/e.safetensors"
nsfw = true
"""
UPSCALER = """
[upscalers.vulpine-u]
name = "vulpine upscaler"
path = "builtin:upscaler.safetensors"
nsfw = true
"""
CONTROLNET = """
[controlnets.vulpine-c]
name = "vulpine controlnet"
path = "builtin:controlnet.safetensors"
type = "canny"
models = ["demo", "vulpine-m"]
nsfw = true
"""
SECRETS = ("vulpine", "sekritus")
"""In every name that is gated, and in every prompt of the age-restricted channel."""
PROMPT = "sekritus embedding:vulpine-e __nsfw/vulpine-w__"
TYPED = ("", "vul", "VULPIN")
STRING, SUBCOMMAND, GROUP = 3, 1, 2


@dataclass
class Two:
    """A server with an age-restricted channel, and one that is not."""

    bot: Bot
    playground: Playground
    admin: User
    carl: User

    @property
    def den(self) -> Channel:
        return self.playground.nsfw_channel

    def outside(self) -> Iterator[Request]:
        """Every request of the bot that concerns no age-restricted channel."""
        core = self.playground.core
        inside = [f"/channels/{channel.id}/" for channel in self._inside()]
        tokens = [
            token
            for token, interaction in core.interactions.items()
            if interaction.channel.age_restricted
        ]
        for request in self.playground.requests:
            if not any(part in request.path for part in (*inside, *tokens)):
                yield request

    def _inside(self) -> list[Channel]:
        return [
            channel
            for guild in self.playground.core.world.guilds.values()
            for channel in guild.channels.values()
            if channel.age_restricted
        ]

    def leaks(self) -> list[str]:
        """What was said outside that should not have been."""
        found = []
        for request in self.outside():
            text = json.dumps([request.body, request.files, request.path], ensure_ascii=False)
            found += [
                f"{request.path[:40]} {text[max(0, at - 200) : at + 80]}"
                for secret in SECRETS
                if (at := text.find(secret)) >= 0
            ]
        presence = json.dumps(self.playground.gateway.presence)
        return found + [presence for secret in SECRETS if secret in presence]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Two]:
    models = tmp_path_factory.mktemp("gated models")
    write_embedding(models / "embeddings/e.safetensors", seed=1)
    for seed, name in enumerate(("ember", "frost")):
        write_lora(models / f"loras/{name}.safetensors", seed=seed)
    home = Home(tmp_path_factory.mktemp("gated"), models)
    texts = {
        "models.toml": MODELS + MODEL,
        "loras.toml": LORAS + LORA,
        "embeddings.toml": EMBEDDING,
        "upscalers.toml": UPSCALERS + UPSCALER,
        "controlnets.toml": CONTROLNET,
    }
    for name, text in texts.items():
        (home.catalog_dir / name).write_text(text, encoding="utf-8")
    wild = home.catalog_dir / WILDCARDS / "nsfw/vulpine-w.txt"
    wild.parent.mkdir(parents=True)
    wild.write_text("a vulpine line\n", encoding="utf-8")
    async with Playground() as playground:
        admin = playground.user("admin")
        playground.give_role(admin, playground.add_role("admin", "administrator"))
        settings = {"IMAGEN_QUEUE_PER_USER": "100", "IMAGEN_PREVIEW": "true"}
        async with Bot(home, playground, **settings) as bot:
            await playground.wait_commands("queue", "cancel", "wildcards", "embeddings", "upscale")
            yield Two(bot, playground, admin, playground.user("carl"))
            assert "Traceback" not in bot.log
            assert "incident" not in bot.log
            assert playground.violations == []


def options_of(command: dict[str, Any], words: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A command, or each of its subcommands, and what it takes."""
    options = command.get("options") or []
    inner = [option for option in options if option["type"] in (SUBCOMMAND, GROUP)]
    for option in inner:
        yield from options_of(option, f"{words} {option['name']}")
    if not inner:
        yield words, options


def data_of(command: dict[str, Any], words: str, given: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client sends for it."""
    for name in reversed(words.split()[1:]):
        given = [{"type": SUBCOMMAND, "name": name, "options": given}]
    data = {"id": command["id"], "name": command["name"], "type": command["type"]}
    return data | {"options": given}


async def try_completions(two: Two, user: User, where: Channel) -> int:
    """Type into every option that makes suggestions; returns how many did."""
    core, asked = two.playground.core, 0
    for command in core.world.visible_commands(two.playground.guild):
        for words, options in options_of(command, command["name"]):
            for option in options:
                if not option.get("autocomplete"):
                    continue
                for typed in TYPED:
                    focused = {
                        "name": option["name"],
                        "type": STRING,
                        "value": typed,
                        "focused": True,
                    }
                    data = data_of(command, words, [focused])
                    call = Interaction(core, AUTOCOMPLETE, user, where, data, focused_type=STRING)
                    await call.start()
                asked += 1
    return asked


ASKED: dict[str, dict[str, Any]] = {
    "models": {},
    "loras": {},
    "loras of it": {"model": "VULPINE-M"},
    "loras of another": {"model": "demo"},
    "embeddings": {},
    "wildcards": {},
    "wildcards called": {"search": "VULPINE"},
    "queue": {},
    "imagine preset": {"prompt": "a fox", "preset": "late"},
    "imagine model": {"prompt": "a fox", "model": "VULPINE-M"},
    "imagine near": {"prompt": "a fox", "model": "vulpin-m"},
    "imagine lora": {"prompt": "a fox", "lora": "VULPINE-L"},
    "imagine near lora": {"prompt": "a fox", "lora": "vulpin-l"},
    "imagine tied": {"prompt": "a fox", "lora": "tied"},
    "imagine tag": {"prompt": "a fox <lora:VULPINE-L:1>"},
    "imagine embedding": {"prompt": "a fox embedding:VULPINE-E"},
    "imagine near embedding": {"prompt": "a fox embedding:vulpin-e"},
    "imagine wildcard": {"prompt": "a fox __NSFW/VULPINE-W__"},
    "imagine near wildcard": {"prompt": "a fox __vulpin-w__"},
    "imagine any wildcard": {"prompt": "a fox __nsfw/*__"},
    "imagine pasted": {
        "prompt": "a fox\nSteps: 2, Sampler: Euler, CFG scale: 5, Seed: 1, Model: VULPINE-M"
    },
    "compare model": {"prompt": "a fox", "axis": "model", "values": "demo, VULPINE-M"},
    "compare lora": {"prompt": "a fox", "axis": "lora", "values": "none, VULPINE-L"},
    "cancel": {"job": "vulpin"},
    "history": {},
    "history found": {"words": "SEKRITUS"},
    "history of it": {"model": "VULPINE-M"},
    "favourites": {},
    "stats": {},
    "privacy": {},
}


async def try_commands(two: Two, user: User, where: Channel) -> None:
    core = two.playground.core
    known = {
        command["name"]: command
        for command in core.world.visible_commands(two.playground.guild)
        if command["type"] == 1
    }
    for case, options in ASKED.items():
        name = case.split()[0]
        given = [{"name": key, "type": STRING, "value": value} for key, value in options.items()]
        call = Interaction(core, COMMAND, user, where, data_of(known[name], name, given))
        await outcome_of(call)


async def outcome_of(call: Interaction) -> str:
    await call.start()
    if call.modal is not None:
        return "form"
    message = await call.wait()
    return message.text


async def try_actions(two: Two, user: User, where: Channel, result: Message) -> None:
    for action in ALL:
        entered = {"reason": "it shows me"}
        if action == "editform":
            entered = {"prompt": "a fox", "negative": "", "model": "demo", "loras": "", "more": ""}
        if action.startswith("menu") and where.guild is None:
            continue
        await outcome(
            forged(two.playground, user, where, result, action, job_of(result), **entered)
        )
    for kind in ("compare", "upscale", "more", "cell", "cancel", "retry"):
        call = forged(two.playground, user, where, result, kind, job_of(result))
        await outcome(call)


@pytest.mark.long
async def test_names_and_prompts_stay_where_they_may_be_said(two: Two) -> None:
    playground, carl, den = two.playground, two.carl, two.den
    gated: dict[str, Any] = {"prompt": PROMPT, "model": "vulpine-m", "lora": "vulpine-l"}
    followed = {"control": "vulpine-c", "control_image": File("me.png", picture((64, 64)))}
    result = await painted(carl, channel=den, **gated, **followed)
    assert "a vulpine line" in result.text
    assert "vulpine-c" in result.text
    below = playground.add_thread(den, "below")
    sheet = await painted(carl, channel=below, **gated)
    compared = await carl.slash(
        "compare", channel=den, axis="model", values="demo, vulpine-m", prompt=PROMPT
    )
    await compared.wait(lambda message: bool(message.attachments))
    large = await carl.slash(
        "upscale",
        channel=den,
        image=File("me.png", picture((64, 64), shade=9)),
        upscaler="vulpine-u",
        mode="crisp",
    )
    enlarged = await large.wait(lambda message: bool(message.attachments))
    assert "vulpine upscaler" in enlarged.text
    saved = await carl.slash("preset save", name="late", channel=den, **gated)
    assert "late" in await said(saved)
    assert "Paused" in await said(await two.admin.slash("pause"))
    waiting = await carl.slash("imagine", channel=den, **gated)
    assert waiting.message is not None
    hidden = await carl.slash("imagine", channel=den, hidden=True, **gated)
    assert "vulpine" in str(await two.admin.autocomplete("cancel", "job", "", channel=den))

    eve = playground.user("eve")
    # Named by whoever may not know of it, it is not there, and neither is what it might suggest.
    for control in ("VULPINE-C", "Vulpine Controlnet", "vulpin-c"):
        asked: dict[str, Any] = {**followed, "control": control.upper()}
        assert "There are no" in await said(await eve.slash("imagine", prompt="a fox", **asked))
    places = [
        playground.channel,
        playground.add_thread(playground.channel, "plain thread"),
        playground.dm(eve),
    ]
    for where in places:
        for who in (eve, two.admin) if where is playground.channel else (eve,):
            assert await try_completions(two, who, where) >= 10
            await try_commands(two, who, where)
        for shown in (result, sheet, enlarged):
            await try_actions(two, eve, where, shown)
    # What is one's own is named to oneself alone, and not there.
    await try_commands(two, carl, playground.channel)
    await try_completions(two, carl, playground.channel)
    del hidden
    assert not two.leaks(), "\n".join(two.leaks())


@pytest.mark.long
async def test_what_lifts_the_restriction_says_nothing_either(two: Two) -> None:
    """Messages that were there are edited, new ones name nothing, and reactions are refused."""
    playground, carl = two.playground, two.carl
    room = playground.add_channel("for a while", nsfw=True)
    gated: dict[str, Any] = {"prompt": PROMPT, "model": "vulpine-m", "lora": "vulpine-l"}
    assert "continue" in await said(await two.admin.slash("pause"))
    calls = [await carl.slash("imagine", channel=room, **gated) for _ in range(2)]
    playground.set_age_restricted(room, False)
    before = len(playground.requests)
    await said(await two.admin.slash("resume"))
    for call in calls:
        told = await call.wait(lambda message: "I didn't post it" in message.text)
        assert not [secret for secret in SECRETS if secret in told.text]
    eve = playground.user("eve in the room")
    await try_commands(two, eve, room)
    said_since = json.dumps(
        [
            request.body
            for request in playground.requests[before:]
            if request in set_of(two.outside())
        ]
    )
    assert not [secret for secret in SECRETS if secret in said_since]


def set_of(requests: Iterator[Request]) -> list[Request]:
    return list(requests)
