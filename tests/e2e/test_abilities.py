"""Each feature has an effect on the pixels, in the real process, and repeats to the byte."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.files.metadata import read_png
from catalog.locate import BUILTINS_DIR
from playground import File, Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot
from tests.e2e.results import facts
from tests.e2e.test_imagine import painted
from tests.e2e.test_pictures import picture
from tests.e2e.test_reroll import answer
from tests.engine import ip_adapter

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

PLAIN: dict[str, Any] = {"prompt": f"a red {CANARY}", "steps": 2, "seed": 8}


async def pixels(playground: Playground, message: Message) -> tuple[tuple[int, int], bytes]:
    """Size and content of the first image."""
    data = await playground.download(message.attachments[0])
    with Image.open(io.BytesIO(data)) as image:
        return image.size, image.tobytes()


async def told_apart(
    playground: Playground, user: User, *requests: dict[str, Any]
) -> list[tuple[int, int]]:
    """Generate PLAIN with each of `requests`; their sizes. Fails when two images are the same."""
    shown = [
        await pixels(playground, await painted(user, **{**PLAIN, **request}))
        for request in requests
    ]
    assert len({content for _, content in shown}) == len(requests)
    return [size for size, _ in shown]


async def repeated(playground: Playground, user: User, **options: Any) -> Message:
    """Generate PLAIN with `options`, and again by a reaction; fails when a byte differs."""
    original = await painted(user, **{**PLAIN, **options})
    await user.react(original, "🔁")
    again = await answer(playground, original)
    assert "Identical to the original, byte for byte" in again.text
    files = [await playground.download(m.attachments[0]) for m in (original, again)]
    assert files[0] == files[1]
    return original


@pytest.mark.long
async def test_every_form_of_a_prompt_is_read(playground: Playground, ada: User) -> None:
    long = f"{CANARY}, " + "a red fox in the snow, " * 30
    forms = [
        PLAIN["prompt"],
        f"a (red:1.6) {CANARY}",
        f"a [red] {CANARY}",
        f"a red BREAK {CANARY}",
        f"{long} at dawn",
        f"{long} at night",  # differs only after some 180 tokens
    ]
    await told_apart(playground, ada, *({"prompt": prompt} for prompt in forms))
    again = await repeated(playground, ada, prompt=f"{long} at (dawn:1.3)", negative=f"({long})")
    written = read_png(await playground.download(again.attachments[0]))
    assert f"{long} at (dawn:1.3)" in (written.parameters or "")


async def test_lycoris_files_that_were_dropped_in_work_together(
    playground: Playground, ada: User
) -> None:
    choices = ["loha:0.5", "lokr:0.5", "loha:0.5, lokr:0.5", "loha:0.5, lokr:0.25"]
    await told_apart(playground, ada, {}, *({"lora": lora} for lora in choices))
    both = await repeated(playground, ada, lora="loha:0.5, lokr:0.5")
    assert "loha 0.5 · lokr 0.5" in facts(both)


async def test_the_picture_painted_over_shows_through(playground: Playground, ada: User) -> None:
    one, other = (File("a.png", picture((64, 64), shade=shade)) for shade in (20, 230))
    await told_apart(
        playground,
        ada,
        {"steps": 4},
        {"steps": 4, "image": one},
        {"steps": 4, "image": other},
        {"steps": 4, "image": other, "strength": 0.3},
    )
    await repeated(playground, ada, steps=4, image=one, strength=0.5)


async def test_the_second_pass_paints_a_larger_picture(playground: Playground, ada: User) -> None:
    sizes = await told_apart(playground, ada, {}, {"hires": "1.25×"}, {"hires": "2×"})
    assert sizes == [(64, 64), (80, 80), (128, 128)]
    await repeated(playground, ada, hires="1.25×", preset="draft", steps=10)


@pytest.fixture(scope="session")
def ip_adapter_files(models_dir: Path) -> None:
    """The IP-Adapter in the shared bot's catalog."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(BUILTINS_DIR / "flat" / "unet")
    ip_adapter.build(models_dir / "ip-adapter", unet)


@pytest.mark.usefixtures("ip_adapter_files")
async def test_a_reference_guides_the_painting(
    shared: Bot, playground: Playground, ada: User
) -> None:
    one, other = (File("a.png", picture((64, 64), shade=shade)) for shade in (20, 230))
    await told_apart(
        playground,
        ada,
        {},
        {"reference": one},
        {"reference": other},
        {"reference": other, "reference_weight": 1.2},
        {"reference": other, "image": one, "strength": 0.5},
    )
    guided = await repeated(playground, ada, reference=one, reference_weight=0.8, lora="lokr:0.2")
    assert "with a reference, weight 0.8" in facts(guided)
    assert {file.stem for file in (shared.home.data_dir / "inputs").iterdir()} >= {
        shared.home.requests()[-1]["reference"]["sha256"]
    }
