"""🧬 and the option `variation` in the real process: images that are close to one."""

import io
import re
import signal
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from bot.files.metadata import read_png
from bot.request.dialects.infotext import parse_infotext
from playground import File, Message, Playground, User
from tests.e2e.home import Bot, Home
from tests.e2e.results import facts, job_of
from tests.e2e.test_actions import bytes_of, posted, press, result, said
from tests.e2e.test_imagine import painted
from tests.e2e.test_pictures import picture

pytestmark = pytest.mark.asyncio(loop_scope="session")

STAR = {"prompt": "a red star on a blue background", "model": "bright", "seed": 7, "steps": 10}


def apart(one: bytes, others: Sequence[bytes]) -> float:
    """How much they differ from `one`, on average."""

    def pixels(data: bytes) -> np.ndarray:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"), np.float64)

    return float(np.mean([np.sqrt(((pixels(each) - pixels(one)) ** 2).mean()) for each in others]))


async def vary(playground: Playground, user: User, message: Message, label: str) -> Message:
    asked = await press(user, message, "variations")
    assert "How different should the variations be?" in said(asked)
    question = asked.message
    assert question is not None
    await user.select(question, f"varyby:{job_of(message)}", [label])
    return await posted(playground, question, message)


def mixes(message: Message) -> list[str]:
    """What was mixed into the noise of seed 7 for each image."""
    found = re.search(r"seed `7` · variation (.+)", facts(message))
    assert found, facts(message)
    return re.findall("`([^`]+)`", found[1])


@pytest.mark.long
async def test_an_image_is_varied_and_its_variation_too_across_a_restart(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        original = await painted(ada, **STAR)
        [star] = await bytes_of(playground, original)
        near = await vary(playground, ada, original, "Subtle (0.1)")
        files = await bytes_of(playground, near)
        assert len({*files}) == 4
        seeds = [int(each.removesuffix(":0.1")) for each in mixes(near)]
        assert all(two == (one + 1) % 2**32 for one, two in pairwise(seeds))
        [other] = await bytes_of(playground, await painted(ada, **{**STAR, "seed": 100}))
        assert 0 < apart(star, files) < apart(star, [other]) / 3

        await bot.end(signal.SIGKILL)
        await bot.start()
        again = await result(await press(ada, near, "same"))
        assert "Identical to the original, byte for byte" in again.text
        assert await bytes_of(playground, again) == files
        further = await vary(playground, ada, near, "Image 2: Strong (0.4)")
        assert {each.rpartition(", ")[0] for each in mixes(further)} == {mixes(near)[1]}
        more = await bytes_of(playground, further)
        assert apart(files[1], more) > apart(files[1], [star])
        await bot.end()
        assert "Traceback" not in bot.log
        assert playground.violations == []


@pytest.mark.long
async def test_a_variation_is_asked_for_again_typed_and_changed(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        near = await vary(playground, ada, await painted(ada, **STAR), "Subtle (0.1)")
        further = await vary(playground, ada, near, "Image 2: Strong (0.4)")
        more = await bytes_of(playground, further)
        # Another one of the same, and what the bot says of it typed again.
        dice = await result(await press(ada, further, "new"))
        assert mixes(dice) != mixes(further)
        assert {each.rpartition(", ")[0] for each in mixes(dice)} == {mixes(near)[1]}
        typed = await painted(ada, **STAR, variation=mixes(further)[2])
        # The original was asked for with a count of its own, so only the pixels are the same.
        assert apart(more[2], await bytes_of(playground, typed)) == 0
        form = await press(ada, typed, "edit")
        assert f"seed: 7\\nvariation: {mixes(typed)[0]}\\n" in str(form.modal)
        smaller = await result(await ada.submit(form, {"prompt": "a blue star"}))
        assert mixes(smaller) == mixes(typed)
        await bot.end()
        assert "Traceback" not in bot.log
        assert playground.violations == []


async def test_what_was_typed_wrong_is_named(ada: User) -> None:
    call = await ada.slash("imagine", prompt="a fox", variation="12:7")
    assert "variation: a strength of 7 won't work. Choose a value from 0 to 1." in said(call)


async def test_the_file_says_how_and_is_read_again(
    shared: Bot, playground: Playground, ada: User
) -> None:
    made = await painted(ada, prompt="a fox", seed=7, variation="12:0.25")
    [data] = await bytes_of(playground, made)
    assert made.attachments[0].filename == "demo-7-v12.png"
    text = read_png(data).parameters or ""
    settings = parse_infotext(text).settings
    assert [settings[name] for name in ("Seed", "Variation seed", "Variation seed strength")] == [
        "7",
        "12",
        "0.25",
    ]
    pasted = await painted(ada, prompt=text)
    assert "Variation seed" in pasted.text
    assert await bytes_of(playground, pasted) == [data]


async def test_an_enlarged_image_and_a_sheet_are_not_varied(
    shared: Bot, playground: Playground, ada: User
) -> None:
    large = await (
        await ada.slash("upscale", image=File("me.png", picture((60, 50), shade=9)), scale="2×")
    ).wait(lambda m: bool(m.attachments), timeout=60)
    more = await ada.click(large, "More…")
    assert more.message is not None
    assert "variations:" not in str(more.message.components)
