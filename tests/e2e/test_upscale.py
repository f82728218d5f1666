"""/upscale in the real process."""

import io
from typing import Any

import pytest
from PIL import Image

from bot.files.metadata import read_png
from bot.request.dialects.infotext import parse_infotext
from playground import File, Playground, User
from playground.interactions import DEFER_REPLY
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot
from tests.e2e.results import facts, lines
from tests.e2e.test_pictures import picture, recipe_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_image_is_enlarged_alone_and_the_same_again(
    shared: Bot, playground: Playground, ada: User
) -> None:
    given = picture((90, 60), shade=33)
    results = []
    asked: list[dict[str, Any]] = [{"scale": "2×"}, {"upscaler": "builtin", "mode": "crisp"}]
    for options in asked:
        call = await ada.slash("upscale", image=File("me.png", given), **options)
        assert call.acknowledged == DEFER_REPLY
        message = await call.wait(lambda m: bool(m.attachments), timeout=60)
        results.append(await playground.download(message.attachments[0]))
    assert results[0] == results[1]
    with Image.open(io.BytesIO(results[0])) as image:
        assert (image.size, image.format) == ((180, 120), "PNG")
    assert "180×120 (2×) · crisp" in facts(message)
    assert "steps" not in facts(message)
    assert "seed" not in facts(message)
    recipe = await recipe_of(playground, message)
    assert recipe.checkpoint is None
    assert recipe.upscaler
    assert recipe.upscaler.name == "builtin"
    parameters = parse_infotext(read_png(results[0]).parameters or "").settings
    assert parameters["Postprocess upscale by"] == "2"
    assert parameters["Postprocess upscaler"] == "builtin"


async def test_an_image_is_painted_over(shared: Bot, playground: Playground, ada: User) -> None:
    call = await ada.slash(
        "upscale",
        image=File("me.png", picture((60, 50), shade=34)),
        mode="repaint",
        prompt=f"{CANARY} --chaos 10",
        model="second",
        strength=0.5,
    )
    message = await call.wait(lambda m: bool(m.attachments), timeout=60)
    recipe = await recipe_of(playground, message)
    assert recipe.request.upscale
    assert recipe.request.upscale.strength == 0.5
    assert (recipe.request.model, recipe.request.prompt) == ("second", CANARY)
    assert r"I left out \--chaos. Nothing here corresponds to it." in "\n".join(lines(message))
    with Image.open(io.BytesIO(await playground.download(message.attachments[0]))) as image:
        assert image.size == (120, 100)


async def test_what_cannot_be_done_is_said_privately_before_the_image_is_fetched(
    shared: Bot, playground: Playground, ada: User
) -> None:
    image = File("me.png", picture((90, 60), shade=35))
    stored = len(shared.home.requests())
    refused: list[tuple[dict[str, Any], str]] = [
        ({"prompt": "a fox"}, "only applies when the image is painted over"),
        ({"mode": "repaint"}, "I need a prompt"),
        ({"upscaler": "buildin"}, "Did you mean builtin?"),
    ]
    for options, part in refused:
        call = await ada.slash("upscale", image=image, **options)
        assert call.message is not None
        assert call.ephemeral
        assert part in call.message.content
    large = File("me.png", picture((2600, 1600)))
    call = await ada.slash("upscale", image=large, scale="4×")
    assert call.message is not None
    assert "10400×6400" in call.message.content
    assert len(shared.home.requests()) == stored


async def test_upscalers_are_suggested(playground: Playground, ada: User) -> None:
    choices = await ada.autocomplete("upscale", "upscaler", "")
    assert [choice.value for choice in choices] == ["builtin"]
