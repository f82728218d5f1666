"""🔬 and ⬆️ below a result: what they ask, and what comes of it."""

import io

import pytest
from PIL import Image

from playground import Message, Playground, User
from playground.interactions import DEFER_UPDATE
from tests.e2e.acting import answer
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot
from tests.e2e.results import buttons, facts, job_of, lines
from tests.e2e.test_actions import bytes_of, posted, press, result, said
from tests.e2e.test_imagine import painted

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


def options(message: Message) -> list[str]:
    """What a select offers."""
    [select] = [
        part
        for row in message.components
        for part in row.get("components", [])
        if part["type"] == 3
    ]
    return [option["label"] for option in select["options"]]


@pytest.mark.long
async def test_one_thing_is_compared_around_a_result_and_a_cell_opened(
    playground: Playground, ada: User
) -> None:
    original = await painted(ada, prompt=CANARY, seed=7, lora="ember:0.5")
    form = await press(ada, original, "compare")
    wrong = await ada.submit(form, {"axis": ["weight"], "values": "0.4, much"})
    assert "“much” isn't a number" in said(wrong)
    assert wrong.message is not None
    form = await ada.click(wrong.message, "Open the form again")
    await ada.submit(form, {"values": "0, 0.5"})
    sheet = await posted(playground, wrong.message, original)
    assert "weight (ember) 0, 0.5" in facts(sheet)
    assert set(buttons(sheet)) == {"same", "new", "edit", "compare", "more"}
    assert options(sheet) == ["0", "0.5"]
    read = await ada.context_menu("Image info", sheet)
    told = await read.wait(lambda m: bool(m.embeds))
    assert "Compared weight (ember): 0, 0.5" in str(told.embeds)

    before = len(playground.requests)
    opened = await result(await ada.select(sheet, f"opencell:{job_of(sheet)}", ["0.5"]))
    assert await bytes_of(playground, opened) == await bytes_of(playground, original)
    assert facts(opened) == facts(original)
    assert {"same", "new", "edit", "compare", "upscale", "more"} == set(buttons(opened))
    assert len(playground.requests) > before
    twice = await ada.select(sheet, f"opencell:{job_of(sheet)}", ["0.5"])
    told = await answer(twice)
    assert told.ephemeral
    assert "a moment ago" in told.text
    again = await result(await press(ada, opened, "same"))
    assert "Identical" in again.text
    again = await result(await press(ada, sheet, "same"))
    assert "Identical" in again.text
    assert "Open one of them first" in said(await ada.context_menu("Use as image", sheet))


async def test_each_image_is_enlarged_in_the_ways_that_there_are(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(ada, prompt=CANARY, seed=7, count=2)
    asked = await press(ada, original, "upscale")
    assert asked.message is not None
    assert options(asked.message) == [
        "Image 1: Larger, as it is, 2×",
        "Image 1: Larger, as it is, 4×",
        "Image 1: Larger, with new detail, 2×",
        "Image 1: Again with a second pass, 1.5×",
        "Image 2: Larger, as it is, 2×",
        "Image 2: Larger, as it is, 4×",
        "Image 2: Larger, with new detail, 2×",
        "Image 2: Again with a second pass, 1.5×",
    ]
    select = f"enlarge:{job_of(original)}"

    async def enlarged(way: str) -> Message:
        question = (await press(ada, original, "upscale")).message
        assert question is not None
        picked = await ada.select(question, select, [way])
        # Before the image is read, which may be large
        assert picked.acknowledged == DEFER_UPDATE
        return await posted(playground, question, original)

    crisp = await enlarged("1 crisp 2")
    [data] = await bytes_of(playground, crisp)
    assert Image.open(io.BytesIO(data)).size == (128, 128)
    assert facts(crisp).endswith("128×128 (2×) · crisp")
    assert lines(crisp)[0] == f"<@{ada.id}>"
    repainted = await enlarged("0 repaint 2")
    assert "128×128 (2×) · repaint" in facts(repainted)
    assert shared.home.requests()[-1]["seed"] == 7
    larger = await enlarged("1 hires 1.5")
    assert "96×96 (1.5×)" in facts(larger)
    assert "seed `8`" in facts(larger)
    assert "Go back to the one it was made from" in said(await ada.context_menu("Edit", crisp))
    further = await press(ada, crisp, "upscale")
    assert further.message is not None
    assert options(further.message) == ["Larger, as it is, 2×", "Larger, as it is, 4×"]
