"""Input images, presets and the second pass, in the real process."""

import hashlib
import io
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from bot.files.metadata import read_png
from bot.recipe import Recipe
from bot.request import GenerationRequest
from playground import Attachment, File, Message, Playground, User
from playground.interactions import DEFER_REPLY, REPLY
from playground.uploads import store
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home, call
from tests.e2e.results import facts
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until
from tests.e2e.test_queue import is_cancelled
from tests.e2e.test_reroll import answer
from tests.parameters import mostly_long

pytestmark = pytest.mark.asyncio(loop_scope="session")


def picture(
    size: tuple[int, int] = (96, 48), kind: str = "PNG", shade: int = 90, **options: Any
) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, 120, 200)).save(buffer, kind, **options)
    return buffer.getvalue()


def sideways() -> bytes:
    """96×48 as stored, 48×96 as displayed."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture(kind="JPEG", exif=exif)


async def recipe_of(playground: Playground, message: Message) -> Recipe:
    written = read_png(await playground.download(message.attachments[0])).recipe
    assert written is not None
    return written


async def test_a_picture_to_paint_over_is_kept_and_followed(
    shared: Bot, playground: Playground, ada: User
) -> None:
    call = await ada.slash(
        "imagine", prompt=CANARY, image=File("me.jpg", sideways()), strength=0.5, seed=3
    )
    assert call.acknowledged == DEFER_REPLY
    assert not call.ephemeral
    message = await call.wait(lambda m: bool(m.attachments))
    request = shared.home.requests()[-1]
    sha256 = request["init_image"]["sha256"]
    assert request["init_image"] == {"sha256": sha256, "strength": 0.5}
    # 1:2 at 64² pixels would be 48×88; this model's smallest side is 64.
    assert (request["width"], request["height"]) == (64, 88)
    kept = (shared.home.data_dir / "inputs" / f"{sha256}.png").read_bytes()
    assert hashlib.sha256(kept).hexdigest() == sha256
    with Image.open(io.BytesIO(kept)) as image:
        assert (image.size, image.mode, image.info) == ((48, 96), "RGB", {})
    assert "from an image, strength 0.5" in facts(message)
    recipe = await recipe_of(playground, message)
    stored = GenerationRequest.from_dict(request)
    # Who put a word into it makes no other image.
    assert recipe.request == replace(stored, kernels=recipe.environment.get("kernels"), added=())


async def test_repetitions_keep_everything(shared: Bot, playground: Playground, ada: User) -> None:
    original = await painted(
        ada,
        prompt=CANARY,
        image=File("a.png", picture(shade=17)),
        preset="fast",
        model="second",
        lora="ember:0.5:0.25",
        hires="1.5×",
        size="64x64",
    )
    first = shared.home.requests()[-1]
    assert (first["preset"], first["steps"], first["scheduler"]) == ("fast", 3, "Euler")
    assert first["hires"] == {"scale": 1.5, "strength": 0.4, "steps": 3}
    assert first["adapters"] == [
        {"key": "ember", "weight": 0.5, "text_weight": 0.25},
        {"key": "frost", "weight": 0.5, "text_weight": None},
    ]
    shown = facts(original).split(" · ")
    assert shown[1:5] == ["ember 0.5 0.25", "frost 0.5", "fast", "96×96 (1.5×)"]
    assert "Euler" in shown

    await ada.react(original, "🔁")
    again = await answer(playground, original)
    assert "Identical to the original, byte for byte" in again.text
    same = shared.home.requests()[-1]
    # Like the original's, as far as there is a choice.
    kept = {"kernels": first["kernels"], "environment": first.get("environment", "")}
    assert {**same, **kept} == {**first, **kept}
    assert same["kernels"] == (await recipe_of(playground, original)).environment.get("kernels")
    await ada.react(again, "🎲")
    await answer(playground, again)
    other = shared.home.requests()[-1]
    assert other["seed"] != first["seed"]
    assert {**other, "seed": first["seed"]} == {**first, "kernels": None}


async def test_a_draft_with_a_scheduler_of_ones_own(
    shared: Bot, playground: Playground, ada: User
) -> None:
    message = await painted(ada, prompt=CANARY, preset="draft", scheduler="EULER")
    request = shared.home.requests()[-1]
    assert (request["steps"], request["spacing"], request["scheduler"]) == (10, "AYS", "Euler")
    written = read_png(await playground.download(message.attachments[0]))
    assert "Schedule type: Align Your Steps" in (written.parameters or "")


async def test_schedulers_are_suggested(ada: User) -> None:
    suggested = await ada.autocomplete("imagine", "scheduler", "sde kar")
    assert [choice.value for choice in suggested] == ["DPM++ 2M SDE Karras", "DPM++ SDE Karras"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"image": File("a.gif", picture(kind="GIF"))}, "Use a PNG, JPEG, or WebP file"),
        ({"image": File("a.txt", b"hello")}, "Use a PNG, JPEG, or WebP file"),
        ({"image": File("a.png", picture((8000, 2001)))}, "16.0 megapixels. The limit is 16"),
        ({"image": File("a.png", b"\x89PNG\r\n\x1a\n" + bytes(21 * 1024**2))}, "21.0 MB"),
        ({"image": File("a.png", picture()), "steps": 500}, "Choose a value from 1 to 100"),
        ({"strength": 0.5}, "Add it as image"),
        ({"reference_weight": 0.5}, "Add it as reference"),
        ({"preset": "fast", "model": "adults"}, "age-restricted"),
        ({"preset": "fast", "steps": 13}, "Choose a value from 1 to 12"),
        ({"preset": "draft", "steps": 20}, "always takes 10"),
        ({"scheduler": "eular a"}, "Did you mean Euler a or Euler?"),
        ({"hires": 2.0, "model": "second", "size": "1536x1024"}, "would make 3072×2048"),
        ({"lora": "ember:1:9"}, "Choose a value from -5.0 to 5.0"),
    ],
)
async def test_a_wrong_value_is_refused_at_once_and_privately(
    shared: Bot, playground: Playground, ada: User, options: dict[str, Any], expected: str
) -> None:
    before = len(shared.home.states())
    call = await ada.slash("imagine", **{"prompt": CANARY, **options})
    assert call.acknowledged == REPLY
    assert call.ephemeral
    assert call.message is not None
    assert expected in call.message.content
    assert len(shared.home.states()) == before


@pytest.mark.parametrize("data", [picture()[:-40], b"\xff\xd8\xff not a JPEG at all"])
async def test_a_damaged_picture_is_refused_privately_after_all(
    shared: Bot, playground: Playground, ada: User, data: bytes
) -> None:
    before = len(shared.home.states())
    call = await ada.slash("imagine", prompt=CANARY, image=File("a.png", data))
    assert call.acknowledged == DEFER_REPLY
    told = await call.wait_followup()
    assert told.ephemeral
    assert "image: " in told.content
    assert call.original is not None
    assert call.original.deleted
    assert len(shared.home.states()) == before


async def test_a_file_that_discord_does_not_give_is_told(
    shared: Bot, playground: Playground, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def expired(*arguments: Any, **options: Any) -> Attachment:
        stored = store(*arguments, **options)
        stored.url = stored.url.replace("&hm=", "&hm=0")
        return stored

    monkeypatch.setattr("playground.uploads.store", expired)
    call = await ada.slash("imagine", prompt=CANARY, image=File("a.png", picture()))
    told = await call.wait_followup()
    assert told.ephemeral
    assert "Discord didn't give me the file" in told.content
    assert playground.violations == []


async def test_german(ada: User) -> None:
    ada.locale = "de"
    call = await ada.slash("imagine", prompt=CANARY, image=File("a.gif", picture(kind="GIF")))
    assert call.message is not None
    assert call.message.content == (
        "image: Das kann ich nicht als Bild lesen. Nimm eine Datei in PNG, JPEG oder WebP."
    )


@pytest.mark.long
async def test_the_command_line_takes_a_picture(home: Home) -> None:
    file = home.folder / "my picture.webp"
    file.write_bytes(picture((48, 96), "WEBP"))
    arguments = ["--image", str(file), "--strength", "0.7", "--preset", "fast", "--hires"]
    code, out, err = await call(home, "imagine", "x", *arguments, "--lora", "ember:1:0.5")
    assert (code, err) == (0, "")
    assert out
    [request] = home.requests()
    assert request["init_image"]["strength"] == 0.7
    assert (request["width"], request["height"]) == (64, 88)
    assert request["hires"]["scale"] == 1.5
    assert request["adapters"] == [{"key": "ember", "weight": 1.0, "text_weight": 0.5}]
    assert [f.stem for f in (home.data_dir / "inputs").iterdir()] == [
        request["init_image"]["sha256"]
    ]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    mostly_long(
        [
            (["--image", "nowhere.png"], ["image: I couldn't read nowhere.png", "PNG, JPEG"]),
            (["--image", "."], ["I couldn't read"]),
            (["--image", "catalog/models.toml"], ["image", "PNG, JPEG, or WebP"]),
            (["--strength", "0.5"], ["strength", "0.5", "image"]),
            (["--reference", "a.png"], ["owner needs to add [reference.sdxl]"]),
            (["--hires", "3"], ["hires", "3", "1.25, 1.5, or 2"]),
            (["--hires", "x"], ["--hires", "x"]),
            (["--preset", "quick"], ["quick", "You can use draft, fast, "]),
            (["--scheduler", "eular a"], ["eular a", "Euler a"]),
        ],
        usual=1,
    ),
)
async def test_the_command_line_exits_with_2_and_says_why(
    home: Home, arguments: list[str], parts: list[str]
) -> None:
    (home.folder / "a.png").write_bytes(picture())
    code, out, err = await call(home, "imagine", "x", *arguments)
    assert (code, out) == (2, "")
    for part in parts:
        assert part in err
    assert "Traceback" not in err


async def test_asking_and_cancelling_again_and_again_leaves_no_image_behind(
    shared: Bot, ada: User
) -> None:
    inputs = shared.home.data_dir / "inputs"
    before = {file.name for file in inputs.glob("*")}
    for shade in (201, 202, 203):
        asked = await ada.slash(
            "imagine", prompt=CANARY, image=File("a.png", picture(shade=shade)), steps=100
        )
        await asked.wait()
        assert len({file.name for file in inputs.glob("*")} - before) == 1
        await ada.slash("cancel")
        await asked.wait(is_cancelled)
        await until(lambda: {file.name for file in inputs.glob("*")} == before)


async def test_nor_does_one_that_is_refused_for_the_image_beside_it(shared: Bot, ada: User) -> None:
    inputs = shared.home.data_dir / "inputs"
    before = {file.name for file in inputs.glob("*")}
    for shade in (211, 212):
        asked = await ada.slash(
            "imagine",
            prompt=CANARY,
            image=File("a.png", picture(shade=shade)),
            reference=File("b.png", b"not a PNG at all"),
        )
        assert "reference: " in (await asked.wait_followup()).content
        await until(lambda: {file.name for file in inputs.glob("*")} == before)


@pytest.mark.parametrize(("status", "code"), [(400, 50035), (403, 50001)])
async def test_a_picture_that_cannot_be_deferred_is_painted_all_the_same(
    shared: Bot, playground: Playground, ada: User, status: int, code: int
) -> None:
    playground.fail_next("POST", r"/interactions/.+/callback", status, code)
    call = await ada.slash("imagine", prompt=CANARY, image=File("a.png", picture()))
    await call.wait(lambda m: bool(m.attachments))
    assert "incident" not in shared.log
