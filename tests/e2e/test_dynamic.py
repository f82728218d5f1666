"""Dynamic prompts from a wildcard file to a picture, with the real process."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.files.metadata import PngMetadata, read_png
from bot.request.dialects.infotext import parse_infotext
from catalog.wildcard_files import WILDCARDS
from playground import Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home, call
from tests.e2e.test_imagine import fields, painted
from tests.e2e.test_life import until
from tests.e2e.test_reroll import answer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

TYPED = f"{CANARY} __colour__ {{house|boat}}"


def write(home: Home, name: str, *lines: str) -> None:
    file = home.catalog_dir / WILDCARDS / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Home:
    """A home with wildcards of its own."""
    home = Home(tmp_path_factory.mktemp("wild"), models_dir)
    write(home, "colour", "# mine", "red", "green", "blue", "{dark|light} grey")
    write(home, "animals/birds", "owl", "heron")
    write(home, "nsfw/secret", "hush")
    return home


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bot(listed: Home) -> AsyncIterator[Bot]:
    async with Playground() as playground, Bot(listed, playground) as bot:
        yield bot
        assert playground.violations == []
        assert CANARY not in bot.log


@pytest.fixture
def fay(bot: Bot) -> User:
    return bot.playground.user("fay")


async def read(bot: Bot, message: Message) -> list[PngMetadata]:
    files = [await bot.playground.download(each) for each in message.attachments]
    return [read_png(file) for file in files]


def prompts(pictures: list[PngMetadata]) -> list[str]:
    return [parse_infotext(each.parameters or "").prompt for each in pictures]


@pytest.mark.long
async def test_a_reroll_has_the_same_text_and_bytes_whatever_the_file_says_now(
    bot: Bot, fay: User
) -> None:
    asked = {"prompt": TYPED, "seed": 5, "size": "64x64"}
    original = await painted(fay, **asked, count=4)
    pictures = await read(bot, original)
    drawn = prompts(pictures)
    assert len({*drawn}) > 1
    assert all("_" not in text and "{" not in text for text in drawn)
    settings = parse_infotext(pictures[0].parameters or "").settings
    assert settings["Template"] == TYPED
    assert drawn[0] in original.text
    # Image 3 alone, typed with its seed.
    third = await painted(fay, **{**asked, "seed": 7})
    assert prompts(await read(bot, third)) == [drawn[2]]
    before = bot.log.count("Catalog reloaded")
    write(bot.home, "colour", "pink")
    await until(lambda: bot.log.count("Catalog reloaded") > before)
    await fay.react(original, "🔁")
    again = await answer(bot.playground, original)
    assert "Identical to the original, byte for byte" in again.text
    for one, two in zip(original.attachments, again.attachments, strict=True):
        assert await bot.playground.download(one) == await bot.playground.download(two)
    # A new seed draws again, from today's file.
    await fay.react(again, "🎲")
    other = await answer(bot.playground, again)
    assert all("pink" in text for text in prompts(await read(bot, other)))


async def test_what_is_no_form_or_unknown_is_refused_with_what_to_write(
    bot: Bot, fay: User
) -> None:
    for prompt, said in (
        ("__color__ fox", "there's no wildcard “color”. Did you mean colour?"),
        ("{masterpiece}, fox", "(masterpiece:1.05) for NovelAI's emphasis"),
        ("${x={a|b}} fox", "variables like “${x={a\\|b}} fox” don't work here"),
    ):
        refused = await fay.slash("imagine", prompt=prompt)
        assert refused.ephemeral
        assert refused.message is not None
        assert said in refused.message.content
        assert "nsfw" not in refused.message.content


async def test_the_wildcards_are_listed_with_samples(bot: Bot, fay: User) -> None:
    everything = await fay.slash("wildcards")
    assert everything.ephemeral
    assert everything.message is not None
    shown = fields(everything.message)
    assert [*shown] == ["`__animals/birds__`", "`__colour__`"]
    assert shown["`__animals/birds__`"] == "2 lines · `owl`, `heron`"
    one = await fay.slash("wildcards", search="bird")
    assert one.message is not None
    assert one.message.embeds[0]["description"] == "`__animals/birds__` · 2 lines\n`owl`, `heron`"
    none = await fay.slash("wildcards", search="hush hush")
    assert none.message is not None
    assert none.message.embeds[0]["description"] == "No wildcard matches that."
    choices = await fay.autocomplete("wildcards", "search", "co")
    assert [choice.value for choice in choices] == ["colour"]
    there = await fay.slash("wildcards", search="secret", channel=bot.playground.nsfw_channel)
    assert there.message is not None
    assert "hush" in there.message.text


@pytest.mark.long
async def test_the_command_line_says_what_was_drawn(listed: Home, tmp_path: Path) -> None:
    options = ("--seed", "1", "--size", "64x64", "--out", str(tmp_path))
    code, out, _ = await call(listed, "imagine", "an __animals/birds__", *options, "--json")
    assert code == 0
    request = json.loads(out)["recipe"]["request"]
    assert request["prompt"] in ("an owl", "an heron")
    assert request["template"] == {
        "prompt": "an __animals/birds__",
        "negative": None,
        "version": 1,
    }
    code, out, _ = await call(listed, "imagine", "an __animals/birds__", *options)
    assert code == 0
    assert out.splitlines()[1] == f"  {request['prompt']}"
