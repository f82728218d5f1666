"""`control` and `control_image` in the real process: ControlNets, from the options to the file."""

import io
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from catalog.locate import BUILTINS_DIR
from playground import File, Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home
from tests.e2e.results import facts, job_of
from tests.e2e.test_actions import bytes_of, posted, press, result, said
from tests.e2e.test_imagine import painted
from tests.e2e.test_repainting import extended, fields_form

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOX: dict[str, Any] = {"prompt": CANARY, "seed": 7}
OFFERED = """
[pose]
path = "tiny-controlnets/pose"
[controlnets.edges]
name = "Edges"
path = "tiny-controlnets/edges"
type = "canny"
models = ["demo", "bright"]
[controlnets.many]
name = "Many kinds"
path = "tiny-controlnets/many"
models = ["demo"]
[controlnets.far]
name = "Distances"
path = "tiny-controlnets/distances"
type = "depth"
models = ["demo"]
[controlnets.off]
name = "Switched off"
path = "tiny-controlnets/edges"
models = ["demo"]
enabled = false
"""


@pytest.fixture(scope="session")
def following_dir(models_dir: Path) -> Path:
    """The shared models folder, with tiny networks for its model."""
    from diffusers import UNet2DConditionModel

    from tests.engine.controls import tiny, vitpose

    unet = UNet2DConditionModel.from_pretrained(BUILTINS_DIR / "flat" / "unet")
    kinds = {"edges": "controlnet", "many": "union", "distances": "controlnet"}
    for seed, (name, kind) in enumerate(kinds.items()):
        tiny.write(models_dir / "tiny-controlnets" / name, tiny.network(unet, kind, seed))
    vitpose.write(models_dir / "tiny-controlnets" / "pose", vitpose.module())
    return models_dir


def following(folder: Path, models_dir: Path) -> Home:
    home = Home(folder, models_dir)
    (home.catalog_dir / "controlnets.toml").write_text(OFFERED, encoding="utf-8")
    return home


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bot(tmp_path_factory: pytest.TempPathFactory, following_dir: Path) -> AsyncIterator[Bot]:
    home = following(tmp_path_factory.mktemp("following"), following_dir)
    async with Playground() as playground, Bot(home, playground) as bot:
        yield bot
        assert playground.violations == []
        assert CANARY not in bot.log
        assert "Traceback" not in bot.log


@pytest.fixture
def ada(bot: Bot, request: pytest.FixtureRequest) -> User:
    return bot.playground.user(f"ada-{request.node.name[:20]}")


def drawn(left: int, size: tuple[int, int] = (64, 64)) -> File:
    """A white bar on black, which begins at that column."""
    shades = np.zeros((size[1], size[0], 3), np.uint8)
    shades[:, left : left + 8] = 255
    buffer = io.BytesIO()
    Image.fromarray(shades).save(buffer, "PNG")
    return File("bar.png", buffer.getvalue())


def soft() -> File:
    """What is no drawing: colours that change softly, with something dark before them."""
    bands = [Image.radial_gradient("L"), Image.linear_gradient("L")]
    image = Image.merge("RGB", [*bands, bands[1].rotate(90)]).resize((64, 64))
    image.paste((10, 10, 10), (20, 12, 40, 50))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return File("photo.png", buffer.getvalue())


async def one_of(playground: Playground, message: Message) -> bytes:
    [data] = await bytes_of(playground, message)
    return data


@pytest.mark.long
async def test_what_is_followed_is_kept_across_a_restart_and_by_every_button(
    tmp_path: Path, following_dir: Path
) -> None:
    home = following(tmp_path / "home", following_dir)
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        bar = drawn(8)
        first = await painted(ada, **FOX, control="edges:0.8 until 50%", control_image=bar)
        assert " · follows edges: edges 0.8, 0–50% of the steps · " in facts(first)
        made = await one_of(playground, first)
        plain = await one_of(playground, await painted(ada, **FOX))
        other = await painted(ada, **FOX, control="edges:0.8 until 50%", control_image=drawn(40))
        assert len({made, plain, await one_of(playground, other)}) == 3

        await bot.end(signal.SIGKILL)
        await bot.start()
        again = await result(await press(ada, first, "same"))
        assert "Identical to the original, byte for byte" in again.text
        assert await one_of(playground, again) == made
        for action in ("new", "same"):
            await result(await press(ada, first, action))
            asked = home.requests()[-1]
            assert asked["controls"] == home.requests()[0]["controls"]

        # ✏️ keeps what is followed while its line stands there, and nothing of it after that.
        form = await press(ada, first, "edit")
        assert "control: edges/canny:0.8 until 50%" in str(form.modal)
        same = await result(await ada.submit(form, {}))
        assert await one_of(playground, same) == made
        more = field_of(await press(ada, first, "edit"), "more")
        without = "\n".join(line for line in more.splitlines() if not line.startswith("control"))
        form = await press(ada, first, "edit")
        emptied = await result(await ada.submit(form, {"more": without}))
        assert await one_of(playground, emptied) == plain
        await bot.end()
        assert "Traceback" not in bot.log
        assert CANARY not in bot.log
        assert playground.violations == []


def field_of(call: Any, name: str) -> str:
    inner = (label["component"] for label in call.modal["components"])
    return next(str(each["value"]) for each in inner if each["custom_id"] == name)


async def test_each_kind_is_followed_alone_and_two_together(bot: Bot, ada: User) -> None:
    bar, playground = drawn(8), bot.playground
    files = {
        control: await one_of(
            playground, await painted(ada, **FOX, control=control, control_image=bar)
        )
        for control in ("edges", "many/softedge", "far as map", "edges, far:0.5 as map")
    }
    assert len({*files.values()}) == len(files)
    assert [use["key"] for use in bot.home.requests()[-1]["controls"]] == ["edges", "far"]
    # The union's own type, and the first ControlNet, are what is meant where nothing else is said.
    await painted(ada, **FOX, control="many", control_image=bar)
    assert bot.home.requests()[-1]["controls"][0]["type"] == "canny"
    usual = await painted(ada, **FOX, control_image=bar)
    assert await one_of(playground, usual) == files["edges"]


async def test_a_pose_is_found_in_a_photo_and_a_scribble_made_of_one(bot: Bot, ada: User) -> None:
    playground, photo = bot.playground, soft()
    asked = {"control": "many/openpose:0.9", "control_image": photo}
    posed = await painted(ada, **FOX, **asked)
    assert "follows a pose: many 0.9" in facts(posed)
    made = await one_of(playground, posed)
    [use] = bot.home.requests()[-1]["controls"]
    assert (use["type"], use["of_photo"], use["is_map"]) == ("openpose", True, False)
    # A skeleton of one's own is taken as it is, and the photo is none.
    as_map = await painted(ada, **FOX, control="many/openpose:0.9 as map", control_image=photo)
    assert await one_of(playground, as_map) != made
    again = await result(await press(ada, posed, "same"))
    assert "Identical to the original, byte for byte" in again.text
    form = await press(ada, posed, "edit")
    assert "control: many/openpose:0.9" in str(form.modal)
    same = await result(await ada.submit(form, {}))
    assert await one_of(playground, same) == made
    assert "many/openpose" in [
        str(choice.value) for choice in await ada.autocomplete("imagine", "control", "many/op")
    ]
    details = await (await press(ada, posed, "details")).wait(lambda m: bool(m.embeds))
    files = next(f["value"] for f in details.embeds[0]["fields"] if f["name"] == "Files and hashes")
    assert "tiny-controlnets/pose" in files
    sketched = await painted(ada, **FOX, control="many/scribble", control_image=photo)
    assert "follows a sketch: many 1" in facts(sketched)
    assert await one_of(playground, sketched) != made


async def test_the_image_to_start_from_is_followed_and_gives_the_shape(bot: Bot, ada: User) -> None:
    wide = drawn(8, (96, 48))
    message = await painted(ada, **FOX, control="edges", control_image=wide)
    with Image.open(io.BytesIO(await one_of(bot.playground, message))) as image:
        assert image.width > image.height
    start = await painted(ada, **FOX, control="edges:0.5", image=wide)
    asked = bot.home.requests()[-1]
    assert asked["controls"][0]["sha256"] == asked["init_image"]["sha256"]
    assert "from an image, strength 0.6 · follows edges: edges 0.5" in facts(start)
    details = await (await press(ada, start, "details")).wait(lambda m: bool(m.embeds))
    assert " control:edges/canny:0.5" in details.content
    assert "Attach the images themselves, as `image`." in details.content
    details = await (await press(ada, message, "details")).wait(lambda m: bool(m.embeds))
    assert "Attach the images themselves, as `control_image`." in details.content
    files = next(f["value"] for f in details.embeds[0]["fields"] if f["name"] == "Files and hashes")
    assert "edges" in files, files


async def test_an_image_of_a_result_is_followed(bot: Bot, ada: User) -> None:
    original = await painted(ada, **FOX, count=2)
    use = (await press(ada, original, "use")).message
    assert use is not None
    form = await ada.select(use, f"useas:{job_of(original)}", ["Follow image 2 with a ControlNet"])
    assert "control: edges" in str(form.modal)
    mistaken = await ada.submit(form, {"more": "seed: 7\ncontrol: edge"})
    assert "There's no ControlNet called “edge”. Did you mean edges?" in said(mistaken)
    assert mistaken.message is not None
    form = await ada.click(mistaken.message, "Open the form again")
    await ada.submit(form, {"more": "seed: 7\ncontrol: edges:0.9"})
    followed = await posted(bot.playground, mistaken.message, original)
    assert "follows edges: edges 0.9" in facts(followed)
    [use_of] = bot.home.requests()[-1]["controls"]
    second = (await bytes_of(bot.playground, original))[1]
    kept = Image.open(bot.home.data_dir / f"inputs/{use_of['sha256']}.png")
    with Image.open(io.BytesIO(second)) as image:
        assert np.array_equal(np.asarray(kept), np.asarray(image.convert("RGB")))


@pytest.mark.long
async def test_what_is_made_of_a_result_follows_the_same_unless_it_was_extended(
    bot: Bot, ada: User
) -> None:
    playground, bar = bot.playground, drawn(8)
    both = "edges:0.7, many/softedge:0.5 from 10%"
    original = await painted(ada, **FOX, control=both, control_image=bar)
    uses = bot.home.requests()[-1]["controls"]
    assert len(uses) == 2
    question = (await press(ada, original, "variations")).message
    assert question is not None
    await ada.select(question, f"varyby:{job_of(original)}", ["Subtle (0.1)"])
    await posted(playground, question, original)
    assert bot.home.requests()[-1]["controls"] == uses
    form = await press(ada, original, "compare")
    sheet = await result(await ada.submit(form, {"axis": ["steps"], "values": "2, 3"}))
    assert bot.home.requests()[-1]["controls"] == uses
    assert "follows edges: edges 0.7 · follows soft edges: many 0.5, 10–100% of the steps" in facts(
        sheet
    )
    wider = await extended(playground, ada, original, "To the left")
    assert "follows" not in facts(wider)
    shown = await (await press(ada, original, "part")).wait(lambda m: bool(m.attachments))
    await ada.submit(await fields_form(ada, shown, ["A1"]), {})
    part = await posted(playground, shown, original)
    assert "follows edges: edges 0.7" in facts(part)
    # Of the two, one may go; the other follows what it followed.
    form = await press(ada, original, "edit")
    kept = await result(await ada.submit(form, {"more": "seed: 7\ncontrol: Many kinds/softedge"}))
    assert "follows soft edges: many 1" in facts(kept)
    [use] = bot.home.requests()[-1]["controls"]
    assert use["sha256"] == uses[0]["sha256"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"control": "edges"},
        r"control: edges only applies to an image, and you didn't attach one."
        r" Add it as control\_image.",
    ),
    ({"control": "edges:3", "control_image": drawn(8)}, "control: 3.0 won't work."),
    ({"control": ":0.5", "control_image": drawn(8)}, "control: “:0.5” won't work. Write a"),
    (
        {"control": "edges from 60% until 10%", "control_image": drawn(8)},
        "control: “edges from 60% until 10%” won't work. The steps",
    ),
    (
        {"control": "edges, edges, many", "control_image": drawn(8)},
        "3 ControlNets are too many. You can combine up to 2.",
    ),
    (
        {"control": "far", "control_image": drawn(8)},
        "I can't tell how far away things are in an image",
    ),
    (
        {"control": "edgs", "control_image": drawn(8)},
        "There's no ControlNet called “edgs”. Did you mean edges?",
    ),
    (
        {"control": "many", "control_image": drawn(8), "model": "bright"},
        "The ControlNet many doesn't fit bright. You can use edges.",
    ),
    (
        {"control": "edges", "control_image": drawn(8), "model": "second"},
        "The ControlNet edges doesn't fit second.",
    ),
    (
        {"control_image": drawn(8), "model": "second"},
        "None of the ControlNets here is for second.",
    ),
    (
        {"control": "off", "control_image": drawn(8)},
        "The ControlNet off is in the catalog, but the bot's owner hasn't enabled it.",
    ),
    (
        {"control": "edges/depth", "control_image": drawn(8)},
        "The ControlNet edges doesn't follow depth. It can follow canny.",
    ),
    (
        {"control": "edges", "control_image": File("me.txt", b"no image")},
        r"control\_image: I can't read that as an image.",
    ),
]


@pytest.mark.parametrize(("options", "expected"), REFUSED)
async def test_what_cannot_be_followed_is_said(
    ada: User, options: dict[str, Any], expected: str
) -> None:
    assert expected in said(await ada.slash("imagine", prompt=CANARY, **options))


async def test_those_of_the_chosen_model_are_suggested(ada: User) -> None:
    async def found(text: str, **options: Any) -> list[str]:
        choices = await ada.autocomplete("imagine", "control", text, **options)
        return [str(choice.value) for choice in choices]

    first = await found("")
    assert first[0] == "edges"
    assert "many/depth" in first
    assert first[-1] == "far"
    assert await found("edges:0.5, fa:0.4 as map") == ["edges:0.5, far:0.4 as map"]
    assert await found("", model="bright") == ["edges"]
    assert await found("", model="second") == []


async def test_models_say_whether_they_take_it(ada: User) -> None:
    shown = (await ada.slash("models", search="demo")).message
    assert shown is not None
    assert "takes no `reference`\\n" in json.dumps(shown.components)
    shown = (await ada.slash("models", search="second")).message
    assert shown is not None
    assert "takes no `reference` or `control`\\n" in json.dumps(shown.components)
