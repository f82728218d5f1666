"""↔️, 🖌️ and the options `mask` and `extend` in the real process: what is kept is kept exactly."""

import io
import signal
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bot.files.grid import SIDE
from playground import File, Interaction, Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home
from tests.e2e.results import buttons, facts, job_of
from tests.e2e.test_actions import bytes_of, posted, press, result, said
from tests.e2e.test_imagine import painted
from tests.e2e.test_pictures import picture

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOX: dict[str, Any] = {"prompt": CANARY, "seed": 7}
SEAM = 8
"""Pixels around what is painted in which it fades into what is kept, of images this small."""


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"), np.int16)


async def pixels_of(playground: Playground, message: Message) -> list[np.ndarray]:
    return [pixels(data) for data in await bytes_of(playground, message)]


def as_png(shades: np.ndarray, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(shades.astype(np.uint8), mode).save(buffer, "PNG")
    return buffer.getvalue()


async def extended(playground: Playground, user: User, message: Message, label: str) -> Message:
    """The result of picking the way with that label."""
    question = (await press(user, message, "extend")).message
    assert question is not None
    await user.select(question, f"extendby:{job_of(message)}", [label])
    return await posted(playground, question, message)


async def fields_form(user: User, shown: Message, fields: list[str]) -> Interaction:
    """The form that picking `fields` below the grid opens."""
    [custom_id] = [
        component["custom_id"]
        for row in shown.components
        for component in row["components"]
        if component["custom_id"].startswith("partsquares:")
    ]
    return await user.select(shown, custom_id, fields)


def in_form(call: Interaction) -> dict[str, str]:
    assert call.modal is not None
    inner = (label["component"] for label in call.modal["components"])
    return {each["custom_id"]: each.get("value") or chosen(each) for each in inner}


def chosen(select: dict[str, Any]) -> str:
    """What is chosen in a select of a form at first."""
    return str(next(each["value"] for each in select["options"] if each.get("default")))


@pytest.mark.long
async def test_an_image_goes_on_beyond_its_edges_across_a_restart(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        original = await painted(ada, **FOX, lora="ember:0.5")
        [before] = await pixels_of(playground, original)
        left = await extended(playground, ada, original, "To the left")
        [wide] = await pixels_of(playground, left)
        assert (before.shape, wide.shape) == ((64, 64, 3), (64, 96, 3))
        assert np.array_equal(wide[:, 32 + SEAM :], before[:, SEAM:])
        assert len(np.unique(wide[:, : 32 - SEAM].reshape(-1, 3), axis=0)) > 1, "it was painted"
        assert "ember 0.5 · 96×64 · extended: left 50%" in facts(left)
        assert "`7`" not in facts(left)

        await bot.end(signal.SIGKILL)
        await bot.start()
        again = await result(await press(ada, left, "same"))
        assert "Identical to the original, byte for byte" in again.text
        assert await bytes_of(playground, again) == await bytes_of(playground, left)
        # With another seed the same part is kept, and in the form as well.
        other = await result(await press(ada, left, "new"))
        form = await press(ada, left, "edit")
        assert "extend: 64x64+32+0" in str(form.modal)
        edited = await result(await ada.submit(form, {"prompt": f"{CANARY} at night"}))
        for message in (other, edited):
            [found] = await pixels_of(playground, message)
            assert np.array_equal(found[:, 32 + SEAM :], before[:, SEAM:])
            assert not np.array_equal(found, wide)
        await bot.end()
        assert "Traceback" not in bot.log
        assert playground.violations == []


async def test_one_of_several_images_is_zoomed_out(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(ada, **FOX, model="bright", count=2, steps=2)
    label = "Image 2: Zoom out 2×"
    zoomed = await extended(playground, ada, original, label)
    assert "zoomed out 2×" in facts(zoomed)
    asked = shared.home.requests()[-1]
    assert (asked["width"], asked["height"], asked["count"]) == (128, 128, 1)
    assert asked["init_image"]["box"] == {"left": 32, "top": 32, "width": 64, "height": 64}
    second = Image.open(io.BytesIO((await bytes_of(playground, original))[1])).convert("RGB")
    [found] = await pixels_of(playground, zoomed)
    inner = np.asarray(second.resize((64, 64), Image.Resampling.LANCZOS), np.int16)
    assert np.array_equal(found[40:88, 40:88], inner[8:56, 8:56])
    details = await (await press(ada, zoomed, "details")).wait(lambda m: bool(m.embeds))
    assert "strength:1 extend:64x64+32+32" in details.content
    assert "Attach the images themselves, as `image`." in details.content


async def test_a_part_is_repainted_and_the_rest_stays(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(ada, **FOX)
    [before] = await pixels_of(playground, original)
    asked = await press(ada, original, "part")
    shown = await asked.wait(lambda m: bool(m.attachments))
    assert "Which part should I repaint?" in said(asked)
    with Image.open(io.BytesIO((await bytes_of(playground, shown))[0])) as grid:
        assert grid.size == (SIDE, SIDE)
    form = await fields_form(ada, shown, ["C1", "D1", "D2", "C2"])
    assert in_form(form) == {"prompt": CANARY, "strength": "1", "area": "whole"}
    assert form.modal is not None
    assert form.modal["title"] == "Repaint C1, D1, C2, D2"
    mistaken = await ada.submit(form, {"prompt": f"{CANARY}, a red sun", "strength": "much"})
    assert "strength: “much” isn't a number." in said(mistaken)
    assert mistaken.message is not None
    form = await ada.click(mistaken.message, "Open the form again")
    whole = {"prompt": f"{CANARY}, a red sun", "strength": "much", "area": "whole"}
    assert in_form(form) == whole
    await ada.submit(form, {"strength": "0,9"})
    part = await posted(playground, mistaken.message, original)
    assert "a part repainted · from an image, strength 0.9" in facts(part)
    [after] = await pixels_of(playground, part)
    kept = np.ones((64, 64), bool)
    kept[: 32 + SEAM, 32 - SEAM :] = False
    assert np.array_equal(after[kept], before[kept])
    assert not np.array_equal(after[:32, 32:], before[:32, 32:])
    request = shared.home.requests()[-1]
    assert request["seed"] != 7
    kept_as = shared.home.data_dir / f"inputs/{request['init_image']['mask']}.png"
    with Image.open(kept_as) as mask:
        assert (mask.mode, mask.size) == ("L", (64, 64))
        assert mask.getbbox() == (32, 0, 64, 32)

    # Who asked gets the mask that was drawn, to attach it to the command.
    for user, others in ((ada, [kept_as.read_bytes()]), (playground.user("bea-looks"), [])):
        details = await (await press(user, part, "details")).wait(lambda m: bool(m.embeds))
        assert "Attach the images themselves, as `image` and `mask`." in details.content
        assert [file.filename for file in details.attachments[1:]] == ["mask.png"] * len(others)
        assert [file.data for file in details.attachments[1:]] == others

    again = await result(await press(ada, part, "same"))
    assert await bytes_of(playground, again) == await bytes_of(playground, part)
    night = await ada.submit(await press(ada, part, "edit"), {"prompt": f"{CANARY} at night"})
    [edited] = await pixels_of(playground, await result(night))
    assert np.array_equal(edited[kept], before[kept])
    assert not np.array_equal(edited, after)
    # Painted over as a whole, nothing of it is kept any more.
    use = (await press(ada, part, "use")).message
    assert use is not None
    form = await ada.select(use, f"useas:{job_of(part)}", ["Paint over this image"])
    assert "strength: 0.6" in str(form.modal)
    await ada.submit(form, {})
    await posted(playground, use, part)
    assert set(shared.home.requests()[-1]["init_image"]) == {"sha256", "strength"}


@pytest.mark.long  # a restart, and a part, as above
async def test_a_part_is_painted_at_full_size_across_a_restart(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        original = await painted(ada, **FOX, size="128x128")
        [before] = await pixels_of(playground, original)
        asked = await press(ada, original, "part")
        shown = await asked.wait(lambda m: bool(m.attachments))
        form = await fields_form(ada, shown, ["B2"])
        await ada.submit(form, {"area": ["On its own, at full size"], "strength": "0.6"})
        part = await posted(playground, shown, original)
        assert "a part repainted at full size" in facts(part)
        request = home.requests()[-1]
        assert (request["width"], request["height"]) == (64, 64)
        area = {"padding": 32, "width": 128, "height": 128}
        assert request["init_image"]["area"] == area
        [after] = await pixels_of(playground, part)
        kept = np.ones((128, 128), bool)
        kept[32 - SEAM : 64 + SEAM, 32 - SEAM : 64 + SEAM] = False
        assert np.array_equal(after[kept], before[kept])
        assert not np.array_equal(after[32:64, 32:64], before[32:64, 32:64])

        await bot.end(signal.SIGKILL)
        await bot.start()
        again = await result(await press(ada, part, "same"))
        assert "Identical to the original, byte for byte" in again.text
        assert await bytes_of(playground, again) == await bytes_of(playground, part)
        form = await press(ada, part, "edit")
        assert "inpaint area: masked" in str(form.modal)
        await result(await ada.submit(form, {"prompt": f"{CANARY} at night"}))
        assert home.requests()[-1]["init_image"]["area"] == area
        await bot.end()
        assert "Traceback" not in bot.log
        assert playground.violations == []


async def test_the_image_is_chosen_first_where_there_are_several(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(ada, **FOX, count=2, spoiler=True)
    which = (await press(ada, original, "part")).message
    assert which is not None
    grid = await ada.select(which, f"partof:{job_of(original)}", ["Image 2"])
    shown = await grid.wait(lambda m: bool(m.attachments))
    assert shown.attachments[0].filename.startswith("SPOILER_")
    await ada.submit(await fields_form(ada, shown, ["A4"]), {})
    part = await posted(playground, shown, original)
    [_, second] = await pixels_of(playground, original)
    [after] = await pixels_of(playground, part)
    assert np.array_equal(after[: 48 - SEAM], second[: 48 - SEAM])
    assert not np.array_equal(after[48:, :16], second[48:, :16])


async def test_a_mask_of_ones_own_and_what_is_extended(
    shared: Bot, playground: Playground, ada: User
) -> None:
    shades = np.random.default_rng(1).integers(0, 255, (64, 64, 3))
    image = File("me.png", as_png(shades, "RGB"))
    erased = np.dstack([shades, np.full((64, 64), 255)])
    erased[:, :16, 3] = 0
    painted_in = np.zeros((64, 64))
    painted_in[:, :16] = 255
    made = []
    for mask in (as_png(painted_in), as_png(erased, "RGBA")):
        message = await painted(ada, **FOX, image=image, mask=File("mask.png", mask))
        assert facts(message).count("a part repainted") == 1
        made += await pixels_of(playground, message)
    assert np.array_equal(made[0], made[1]), "both say the same"
    assert np.array_equal(made[0][:, 16 + SEAM :], shades[:, 16 + SEAM :])
    assert not np.array_equal(made[0][:, :16], shades[:, :16])
    taller = await painted(ada, **FOX, image=image, extend="Down 25%", size="64x80")
    assert "extended: down 25%" in facts(taller)
    [found] = await pixels_of(playground, taller)
    assert np.array_equal(found[: 64 - SEAM], shades[: 64 - SEAM])


ME = File("me.png", picture((64, 64), shade=3))
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"mask": ME}, "mask: this marks the part of an image to repaint, but there's no image."),
    ({"extend": "left"}, "extend: left only applies to an image, and you didn't attach one."),
    (
        {"image": ME, "mask": File("m.png", picture((64, 128)))},
        "mask: this is 64×128, but the image is 64×64.",
    ),
    ({"image": ME, "extend": "sideways"}, "extend: “sideways” won't work. Write `zoom 1.5`"),
    ({"image": ME, "extend": "zoom 9"}, "extend: a zoom of 9 won't work. Choose a value from 1.1"),
    ({"image": ME, "extend": "1:1"}, "extend: the image already has the shape 1:1."),
    ({"image": ME, "mask": ME, "hires": "2×"}, "hires: 2 won't work with a mask"),
]


@pytest.mark.parametrize(("options", "expected"), REFUSED)
async def test_what_cannot_be_is_refused_before_anything_is_fetched(
    ada: User, options: dict[str, Any], expected: str
) -> None:
    assert expected in said(await ada.slash("imagine", prompt=CANARY, **options))


async def test_a_mask_of_nothing_is_named_once_it_is_read(ada: User) -> None:
    black = File("mask.png", as_png(np.zeros((64, 64))))
    call = await ada.slash("imagine", prompt=CANARY, image=ME, mask=black)
    told = await call.wait_followup()
    assert told.ephemeral
    assert "mask: this is completely black" in told.content


async def test_ways_to_extend_are_suggested(ada: User) -> None:
    found = await ada.autocomplete("imagine", "extend", "left")
    assert [choice.value for choice in found] == ["left", "left, right"]


async def test_neither_is_offered_for_an_enlarged_image(ada: User) -> None:
    small = File("me.png", picture((60, 50), shade=9))
    call = await ada.slash("upscale", image=small, scale="2×")
    large = await call.wait(lambda m: bool(m.attachments), timeout=60)
    more = await ada.click(large, "More…")
    assert more.message is not None
    assert {"extend", "part"}.isdisjoint(buttons(more.message))
