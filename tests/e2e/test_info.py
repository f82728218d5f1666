"""/info and Image info: files of other programs and our own, read and used over the wire."""

import json
from functools import partial
from typing import Any

import pytest

from playground import File, Interaction, Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home
from tests.e2e.results import facts
from tests.e2e.test_actions import bytes_of, posted, said
from tests.e2e.test_imagine import painted
from tests.files.image_info import samples, writers

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

USE = "Use these settings"
SETTINGS = (
    "Steps: 10, Sampler: Euler a, Schedule type: Automatic, CFG scale: 6, Seed: 77, Size: 64x96, "
    "Model: second, Denoising strength: 0.3, Version: v1.10.1"
)
WRITTEN = f"{CANARY} in the snow <lora:ember:0.5> <lora:gone:1>\nNegative prompt: fog\n{SETTINGS}"


async def shown(call: Interaction) -> Interaction:
    await call.wait(lambda m: bool(m.embeds))
    assert call.ephemeral
    return call


def _says(text: str, message: Message) -> bool:
    return message.ephemeral and text in message.text


def fields(form: Interaction) -> dict[str, Any]:
    assert form.modal is not None
    return {one["component"]["custom_id"]: one["component"] for one in form.modal["components"]}


async def test_another_programs_file_is_told_and_used(ada: User, playground: Playground) -> None:
    data = writers.with_comment(WRITTEN, "JPEG")
    call = await shown(await ada.slash("info", image=File("fox.jpg", data)))
    assert call.message is not None
    text = call.message.text
    for told in (f"{CANARY} in the snow", "fog", "64×96", "10 steps", "guidance 6", "`77`"):
        assert told in text
    for told in ("second: here, as `second`", "ember:0.5: here, as `ember`", "gone:1: not here"):
        assert told in text.replace("\\", "")
    assert "strength: 0.3" in text
    form = await ada.click(call.message, USE)
    given = fields(form)
    assert given["prompt"]["value"] == f"{CANARY} in the snow"
    assert given["loras"]["value"] == "ember:0.5"
    assert (
        given["more"]["value"]
        == "seed: 77\nsize: 64x96\nsteps: 10\nguidance: 6\nscheduler: Euler a"
    )
    refused = await ada.submit(form, {"more": "seed: 77\nsteps: many\nstrength: 0.4"})
    assert "steps: “many” isn't a number" in said(refused)
    assert refused.message is not None
    again = await ada.click(refused.message, "Open the form again")
    assert fields(again)["more"]["value"] == "seed: 77\nsteps: many\nstrength: 0.4"
    await ada.submit(again, {"more": given["more"]["value"]})
    made = await posted(playground, refused.message, None)
    assert "seed `77`" in facts(made)
    asked = {"negative": "fog", "lora": "ember:0.5", "seed": 77, "size": "64x96", "steps": 10}
    prompt = f"{CANARY} in the snow"
    fresh = await painted(
        ada, prompt=prompt, model="second", guidance=6.0, scheduler="Euler a", **asked
    )
    assert await bytes_of(playground, made) == await bytes_of(playground, fresh)


async def test_the_menu_reads_ours_and_anybodys(ada: User, playground: Playground) -> None:
    original = await painted(ada, prompt=CANARY, seed=7, lora="ember:0.5")
    bea = playground.user("bea-reads")
    call = await shown(await bea.context_menu("Image info", original))
    assert call.message is not None
    assert "Image info · imagen" in call.message.text
    assert "`7`" in call.message.text
    form = await bea.click(call.message, USE)
    await bea.submit(form, {})
    again = await posted(playground, call.message, None, stays=True)
    assert await bytes_of(playground, again) == await bytes_of(playground, original)

    graph = writers.png({"prompt": json.dumps(samples.COMFYUI_PROMPT)})
    shared = await ada.say(playground.channel, "look", files=(("fox.png", graph),))
    call = await shown(await bea.context_menu("Image info", shared))
    assert call.message is not None
    assert "Image info · ComfyUI" in call.message.text
    assert samples.PROMPT in call.message.text


async def test_what_cannot_be_read_is_said_kindly(ada: User, playground: Playground) -> None:
    talk = await ada.say(playground.channel, "hello")
    assert "no image in this message" in said(await ada.context_menu("Image info", talk))
    for name, data, why in (
        ("plain.png", writers.png({}), "doesn't say how it was generated"),
        ("broken.png", b"not an image", "PNG, JPEG"),
        ("huge.png", writers.png({"prompt": " " * 2**22 + "{}"}, compressed=True), "4 MiB"),
    ):
        call = await ada.slash("info", image=File(name, data))
        told = await playground.wait_message(partial(_says, why))
        assert told.viewer is ada
        assert call.ephemeral


@pytest.mark.long
async def test_the_button_works_after_a_restart_and_for_its_person_only(home: Home) -> None:
    async with Playground() as playground:
        ada = playground.user("ada-restarts")
        data = writers.png({"parameters": samples.A1111})
        async with Bot(home, playground):
            call = await shown(await ada.slash("info", image=File("fox.png", data)))
        assert call.message is not None
        async with Bot(home, playground):
            form = await ada.click(call.message, USE)
            assert fields(form)["prompt"]["value"] == samples.PROMPT
            stranger = playground.user("bea-forges")
            own = await shown(await stranger.slash("info", image=File("fox.png", data)))
            assert own.message is not None
            [row] = own.message.components
            row["components"][0]["custom_id"] = call.message.components[0]["components"][0][
                "custom_id"
            ]
            assert "too long ago" in said(await stranger.click(own.message, USE))
