"""A model of each family in the real process, with a LoRA, again to the byte, and editing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from playground import File, Message, Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home
from tests.e2e.results import facts
from tests.e2e.test_actions import bytes_of, posted, press, result, said
from tests.e2e.test_imagine import painted
from tests.e2e.test_pictures import picture
from tests.e2e.test_reroll import answer
from tests.parameters import mostly_long

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODELS = """
[models.small]
name = "SD 1.5"
path = "families/sd15"
size = [64, 64]
min_side = 64
steps = {min = 1, default = 2, max = 50}
[models.klein]
name = "FLUX.2 klein"
path = "families/klein"
size = [64, 64]
min_side = 64
steps = {min = 1, default = 2, max = 50}
[models.turbo]
name = "Z-Image Turbo"
path = "families/turbo"
size = [64, 64]
min_side = 64
steps = {min = 1, default = 2, max = 50}
[models.lines]
name = "Anima base"
path = "families/anima"
size = [64, 64]
min_side = 64
steps = {min = 1, default = 2, max = 50}
[models.colours]
name = "Chroma"
path = "families/chroma"
size = [64, 64]
min_side = 64
steps = {min = 1, default = 2, max = 50}
[models.kontext]
name = "FLUX.1 Kontext"
path = "families/kontext"
size = [64, 64]
min_side = 64
steps = {min = 1, default = 2, max = 50}
[models.krea]
name = "Krea 2"
path = "families/krea"
size = [64, 64]
min_side = 64
steps = {min = 1, default = 2, max = 50}
"""
UNTOLD = """
[models.untold]
name = "Untold"
path = "families/untold"
"""
LORAS = """
[loras.for-small]
name = "For SD 1.5"
path = "families/small.safetensors"
models = ["small"]
[loras.for-klein]
name = "For klein"
path = "families/klein.safetensors"
models = ["klein"]
[loras.for-turbo]
name = "For Z-Image"
path = "families/turbo.safetensors"
[loras.for-lines]
name = "For Anima"
path = "families/lines.safetensors"
[loras.for-colours]
name = "For Chroma"
path = "families/colours.safetensors"
[loras.for-kontext]
name = "For FLUX.1"
path = "families/kontext.safetensors"
[loras.for-krea]
name = "For Krea 2"
path = "families/krea.safetensors"
"""
FITTING = {
    "small": (
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k",
        (32, 32),
        "sd1.5",
    ),
    "klein": ("transformer.transformer_blocks.0.attn.to_q", (32, 32), "flux-2-klein-4b"),
    "turbo": ("transformer.layers.0.adaLN_modulation.0", (128, 32), "z-image"),
    "lines": ("lora_unet_llm_adapter_blocks_0_cross_attn_q_proj", (16, 16), "anima-preview"),
    "colours": ("lora_unet_distilled_guidance_layer_layers_0_in_layer", (32, 32), "chroma"),
    "kontext": ("transformer.single_transformer_blocks.0.proj_mlp", (128, 32), "flux-1-dev/lora"),
    "krea": ("lora_unet_blocks_0_attn_wq", (32, 32), "krea2"),
}
"""Model → a module of it, the shape of its weight, and what a trainer calls the model, which the
narrow layers of a tiny one do not tell."""


def write(folder: Path) -> None:
    """A tiny model of each family, and a LoRA for each."""
    from bot.engine.importing import prepare_libraries

    prepare_libraries()
    from tests.engine.factories import kohya, save
    from tests.engine.families.anima import tiny_model as anima
    from tests.engine.families.chroma import tiny_model as chroma
    from tests.engine.families.flux1 import tiny_model as flux1
    from tests.engine.families.flux2 import tiny_model as klein
    from tests.engine.families.krea2 import tiny_model as krea2
    from tests.engine.families.sd15 import tiny_model as sd15
    from tests.engine.families.zimage import tiny_model as zimage

    sd15.build(folder / "sd15")
    klein.build(folder / "klein")
    zimage.build(folder / "turbo")
    anima.build(folder / "anima")
    chroma.build(folder / "chroma")
    flux1.build(folder / "kontext", edits=True)
    krea2.build(folder / "krea")
    # Only its scheduler would tell, which has the shift of neither.
    (folder / "untold" / "scheduler").mkdir(parents=True)
    for name, raw in (
        ("model_index", '{"_class_name": "ZImagePipeline"}'),
        ("scheduler/scheduler_config", '{"shift": 4.0}'),
    ):
        (folder / "untold" / f"{name}.json").write_text(raw, encoding="utf-8")
    for number, (key, (module, shape, architecture)) in enumerate(FITTING.items()):
        tensors = kohya(module, shape, seed=number, size=3.0)
        save(folder / f"{key}.safetensors", tensors, {"modelspec.architecture": architecture})


def home_in(folder: Path, models_dir: Path) -> Home:
    """A home whose catalog has these models and LoRAs as well; their files are written once."""
    if not (models_dir / "families").exists():
        write(models_dir / "families")
    home = Home(folder, models_dir)
    for name, text in (("models", MODELS + UNTOLD), ("loras", LORAS)):
        with (home.catalog_dir / f"{name}.toml").open("a", encoding="utf-8") as file:
            file.write(text)
    return home


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bot(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> AsyncIterator[Bot]:
    home = home_in(tmp_path_factory.mktemp("families"), models_dir)
    async with Playground() as playground, Bot(home, playground) as started:
        yield started
        assert CANARY not in started.log
        assert playground.violations == []


@pytest.fixture
def cleo(bot: Bot, request: pytest.FixtureRequest) -> User:
    return bot.playground.user(f"cleo-{request.node.name[:20]}")


async def asked(user: User, model: str, **options: Any) -> Message:
    return await painted(user, prompt=CANARY, model=model, seed=7, **options)


@pytest.mark.parametrize("model", mostly_long(FITTING, usual=2))
async def test_with_a_lora_and_again_to_the_byte(bot: Bot, cleo: User, model: str) -> None:
    bare = await asked(cleo, model)
    original = await asked(cleo, model, lora=f"for-{model}:1")
    assert await bytes_of(bot.playground, bare) != await bytes_of(bot.playground, original)
    await cleo.react(original, "🔁")
    again = await answer(bot.playground, original)
    assert "Identical to the original, byte for byte" in again.text
    assert await bytes_of(bot.playground, again) == await bytes_of(bot.playground, original)


async def test_what_does_not_fit_a_family_is_refused_in_words(bot: Bot, cleo: User) -> None:
    call = await cleo.slash("imagine", prompt=CANARY, model="klein", negative="fog")
    assert "negative: klein (FLUX.2 klein) takes no negative prompt. Instead, describe" in said(
        call
    )
    call = await cleo.slash("imagine", prompt=CANARY, model="demo", lora="for-klein")
    assert "for-klein" in said(call)
    for model, lora, base in (
        ("klein", "for-turbo", "Z-Image"),
        ("demo", "for-lines", "Anima"),
        ("lines", "for-turbo", "Z-Image"),
        ("klein", "for-kontext", "FLUX.1"),
        ("turbo", "for-krea", "Krea 2"),
        ("krea", "for-turbo", "Z-Image"),
    ):
        call = await cleo.slash("imagine", prompt=CANARY, model=model, lora=lora)
        assert base in said(call)
        choices = await cleo.autocomplete("imagine", "lora", "", model=model)
        assert lora not in {choice.value for choice in choices}


@pytest.mark.parametrize("preset", ["misty", "draft", "fast", "misty, draft"])
@pytest.mark.parametrize("model", mostly_long(["klein", "turbo", "krea"], usual=1))
async def test_styles_and_presets_work_with_a_distilled_model(
    bot: Bot, cleo: User, model: str, preset: str
) -> None:
    shown = await asked(cleo, model, preset=preset)
    note = f"The preset sets `negative`, which {model} doesn't take, so I left that out."
    assert (note in shown.text) == ("misty" in preset)


async def test_a_model_whose_variant_nothing_tells_is_refused_with_what_to_write(
    bot: Bot, cleo: User
) -> None:
    call = await cleo.slash("imagine", prompt=CANARY, model="untold")
    assert (
        "untold is a model of the Z-Image family, but neither its files nor its name says whether"
        " it's turbo or base. The bot's owner needs to write"
        ' variant = "turbo" or variant = "base" in its entry'
        r" \[models.untold\] in models.toml."
    ) in said(call)


async def test_images_are_edited_by_what_is_said(bot: Bot, cleo: User) -> None:
    call = await cleo.slash(
        "edit",
        prompt=CANARY,
        image=File("a.png", picture((96, 64))),
        image2=File("b.png", picture((96, 64), shade=10)),
        seed=3,
    )
    edited = await result(call)
    request = bot.home.requests()[-1]
    assert (request["model"], len(request["pictures"])) == ("klein", 2)
    assert (request["width"], request["height"]) == (80, 64)
    assert "edits 2 images" in facts(edited)
    kept = {path.stem for path in (bot.home.data_dir / "inputs").glob("*.png")}
    assert set(request["pictures"]) <= kept
    await cleo.react(edited, "🔁")
    again = await answer(bot.playground, edited)
    assert await bytes_of(bot.playground, again) == await bytes_of(bot.playground, edited)
    other = await result(
        await cleo.slash(
            "edit", prompt=CANARY, image=File("c.png", picture((96, 64), shade=200)), seed=3
        )
    )
    assert await bytes_of(bot.playground, other) != await bytes_of(bot.playground, edited)


async def test_images_that_cannot_be_edited_are_refused_before_they_are_queued(
    bot: Bot, cleo: User
) -> None:
    before = len(bot.home.requests())
    for size, why in (((30, 20), "too small to edit: 30×20"), ((900, 70), "too narrow to edit")):
        image, small = File("a.png", picture((96, 64))), File("b.png", picture(size))
        call = await cleo.slash("edit", prompt=CANARY, image=image, image2=small)
        assert why in said(call)
    assert len(bot.home.requests()) == before


async def test_brackets_that_a_family_does_not_read_are_named(bot: Bot, cleo: User) -> None:
    shown = await painted(cleo, prompt=f"({CANARY}:1.3) [snow]", model="klein", seed=7)
    assert "klein reads prompts as they are" in shown.text
    assert "(a:1.2)" in shown.text


async def test_only_models_that_edit_do(bot: Bot, cleo: User) -> None:
    image = File("a.png", picture((96, 64)))
    call = await cleo.slash("edit", prompt=CANARY, image=image, model="demo")
    assert "demo can't edit images. These can: klein and kontext." in said(call)
    choices = await cleo.autocomplete("edit", "model", "")
    assert [choice.value for choice in choices] == ["klein", "kontext"]
    choices = await cleo.autocomplete("edit", "lora", "")
    assert "for-klein" in [choice.value for choice in choices]


async def test_a_result_is_edited_with_words(bot: Bot, cleo: User) -> None:
    original = await asked(cleo, "demo", count=2)
    more = await press(cleo, original, "more")
    assert more.message is not None
    call = await press(cleo, more.message, "words")
    await cleo.submit(call, {"prompt": CANARY, "image": "1"})
    await posted(bot.playground, more.message, original)
    request = bot.home.requests()[-1]
    assert (request["model"], len(request["pictures"])) == ("klein", 1)
    more = await press(cleo, original, "more")
    assert more.message is not None
    broken = await press(cleo, more.message, "words")
    refused = await cleo.submit(broken, {"prompt": CANARY, "more": "stepps: 3"})
    assert "stepps: 3" in said(refused)


@pytest.mark.long
async def test_kontext_edits_one_image(bot: Bot, cleo: User) -> None:
    image = File("a.png", picture((96, 64)))
    asked: dict[str, Any] = {"prompt": CANARY, "model": "kontext", "seed": 3}
    edited = await result(await cleo.slash("edit", image=image, **asked))
    request = bot.home.requests()[-1]
    assert (request["model"], len(request["pictures"])) == ("kontext", 1)
    bare = await painted(cleo, **asked)
    assert await bytes_of(bot.playground, bare) != await bytes_of(bot.playground, edited)
    call = await cleo.slash("edit", image=image, image2=image, **asked)
    assert "kontext" in said(call)
    assert "pictures" not in bot.home.requests()[-1]
