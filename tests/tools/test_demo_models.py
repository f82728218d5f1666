"""The shipped demo models: their files, and that their images show what was requested."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalog.headers import HeaderCache
from catalog.locate import BUILTINS_DIR
from catalog.weight_files import read_header
from catalog.weight_files.controlnet import ControlNetFacts, controlnet_facts
from tests.parameters import mostly_long
from tools.demo import judge
from tools.demo.adapters import PLANS
from tools.demo.controlnet import drawing, edges_of
from tools.demo.painter import Painter, opened
from tools.demo.report import (
    AT_EDGES,
    STYLED,
    VISIBLE,
    Row,
    distance,
    say,
    table,
)
from tools.demo.upscaler import STYLE_NAMES, halved, psnr, unseen


@pytest.fixture(scope="module")
def painter() -> Iterator[Painter]:
    import torch

    torch.set_num_threads(1)
    with opened() as painter:
        yield painter


def test_they_are_small_and_nothing_but_weights_and_configuration() -> None:
    files = [path for path in BUILTINS_DIR.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 14_900_000
    assert {path.suffix for path in files} == {".safetensors", ".json", ".txt", ".md"}


def test_every_number_has_16_bits() -> None:
    from safetensors import safe_open

    for file in BUILTINS_DIR.rglob("*.safetensors"):
        with safe_open(file, "np") as opened_file:
            kinds = {opened_file.get_slice(name).get_dtype() for name in opened_file.keys()}  # noqa: SIM118
        assert kinds <= {"F16", "F32"}, file
        assert "F16" in kinds, file
        # Empty markers such as v_pred have no data.
        if "F32" in kinds:
            assert file.name == "ink.safetensors"


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.style)
def test_an_adapter_says_what_trainers_say(plan: object) -> None:
    assert isinstance(plan, type(PLANS[0]))
    file = BUILTINS_DIR / f"{plan.style}.safetensors"
    facts = HeaderCache().facts(file)
    family = {"": "LoRA", "lokr": "LoKr", "loha": "LoHa", "locon": "LoCon"}[plan.algo]
    assert (facts.algorithm, facts.base, facts.rank) == (family, "SDXL", plan.rank)
    assert facts.candidates == (plan.trigger,)
    metadata = read_header(file).metadata
    assert metadata["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert metadata["ss_network_module"] in {"networks.lora", "lycoris.kohya"}


def test_the_controlnet_is_one_for_models_of_their_family() -> None:
    file = BUILTINS_DIR / "controlnet.safetensors"
    assert file.stat().st_size <= 2_500_000
    assert controlnet_facts(read_header(file)) == ControlNetFacts("controlnet", "sdxl")


@pytest.mark.long
def test_diffusers_own_pipeline_takes_the_folder_unchanged() -> None:
    import torch
    from diffusers import StableDiffusionXLPipeline

    pipeline = StableDiffusionXLPipeline.from_pretrained(
        BUILTINS_DIR / "flat", dtype=torch.float32, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline(
        "a red star on a blue background",
        generator=torch.Generator().manual_seed(1),
        num_inference_steps=20,
        guidance_scale=4.0,
        width=128,
        height=128,
    ).images[0]
    (star,) = judge.things(image)[:1]
    assert judge.colour_name(judge.ground(image)) == "blue"
    assert judge.colour_of(image, star) == "red"
    assert judge.shape_of(star) == "star"


SOME = [
    ("circle", "yellow", "black"),
    ("square", "green", "white"),
    ("heart", "pink", "blue"),
    ("star", "red", "blue"),
    ("moon", "yellow", "blue"),
    ("triangle", "orange", "purple"),
]


@pytest.mark.parametrize(("shape", "colour", "ground"), mostly_long(SOME, usual=1))
def test_what_is_asked_for_is_painted(
    painter: Painter, shape: str, colour: str, ground: str
) -> None:
    image = painter.paint(say(shape, colour, ground), seed=5)
    thing = judge.things(image)[0]
    assert judge.colour_name(judge.ground(image)) == ground
    assert judge.colour_of(image, thing) == colour
    assert judge.shape_of(thing) == shape


@pytest.mark.long
def test_french_is_understood(painter: Painter) -> None:
    image = painter.paint("une étoile jaune sur fond noir", seed=2)
    star = judge.things(image)[0]
    assert judge.colour_name(judge.ground(image)) == "black"
    assert (judge.colour_of(image, star), judge.shape_of(star)) == ("yellow", "star")


@pytest.mark.long
def test_the_seed_decides_the_place(painter: Painter) -> None:
    words = "a red circle and a green square on a white background"
    images = [painter.paint(words, seed) for seed in range(6)]
    assert {judge.is_left(image, "red") for image in images} == {True, False}
    assert painter.paint(words, 0).tobytes() == images[0].tobytes()


@pytest.mark.long
def test_the_other_checkpoint_paints_in_its_own_style(painter: Painter) -> None:
    words = say("heart", "red", "white")
    flat, ink = painter.paint(words, 1), painter.paint(words, 1, "demo-ink")
    dark = [(np.asarray(image.convert("L")) < 80).mean() for image in (flat, ink)]
    assert dark[1] > dark[0] + 0.02, "ink has thick dark outlines"


@pytest.mark.long
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.style)
def test_an_adapter_changes_the_picture_in_proportion(painter: Painter, plan: object) -> None:
    from bot.request import AdapterUse

    assert isinstance(plan, type(PLANS[0]))
    words = say("heart", "red", "blue")
    plain = painter.paint(words, 3, trigger_words=(plan.trigger,))
    apart = [
        distance(
            painter.paint(
                words,
                3,
                adapters=(AdapterUse(plan.style, weight),),
                trigger_words=(plan.trigger,),
            ),
            plain,
        )
        for weight in (0.3, 0.6, 1.0)
    ]
    assert 0 < apart[0] < apart[1] < apart[2]
    assert apart[2] > (VISIBLE if plan.style in AT_EDGES else STYLED)


@pytest.mark.long
def test_an_adapter_without_its_word_changes_less(painter: Painter) -> None:
    from bot.request import AdapterUse

    words, worn = say("square", "green", "white"), (AdapterUse("sketch", 1.0),)
    without, called = (
        distance(
            painter.paint(words, 3, adapters=worn, trigger_words=triggers),
            painter.paint(words, 3, trigger_words=triggers),
        )
        for triggers in ((), ("sketch",))
    )
    assert without < called


FOLLOWED_THINGS = [("star", "red", "blue"), ("heart", "pink", "white"), ("fish", "yellow", "black")]


@pytest.mark.parametrize(
    ("model", "words"),
    mostly_long([(m, w) for w in FOLLOWED_THINGS for m in ("demo", "demo-ink")], usual=1),
)
def test_the_controlnet_paints_where_a_drawing_has_something(
    painter: Painter, model: str, words: tuple[str, str, str]
) -> None:
    drawn = drawing(words[0], 2)
    alike = [
        judge.edges_alike(
            edges_of(painter.follow(drawn, say(*words), 1, weight, model)), edges_of(drawn)
        )
        for weight in (0.0, 1.0)
    ]
    assert alike[1] > max(0.8, 2 * alike[0])


def test_edges_are_alike_up_to_a_distance() -> None:
    wanted = np.zeros((20, 20), dtype=bool)
    wanted[:, 5] = True
    assert judge.edges_alike(wanted, wanted, within=0) == 1.0
    moved = np.roll(wanted, 2, axis=1)
    assert judge.edges_alike(moved, wanted, within=2) == 1.0
    assert judge.edges_alike(moved, wanted, within=1) == 0.0
    assert judge.edges_alike(np.zeros_like(wanted), wanted) == 0.0
    # All of what is wanted is there, and as much that is not: precision 1/2, recall 1.
    beside = wanted | np.roll(wanted, 10, axis=1)
    assert judge.edges_alike(beside, wanted) == pytest.approx(2 / 3)


@pytest.mark.long
def test_guidance_matters(painter: Painter) -> None:
    words = say("moon", "yellow", "blue")
    one, eight = (painter.paint(words, 1, guidance=guidance) for guidance in (1.0, 8.0))
    assert distance(one, eight) > VISIBLE


@pytest.mark.long
def test_a_negative_prompt_takes_away(painter: Painter) -> None:
    words = "a star on a white background"
    plain, without = (painter.paint(words, 4, negative=negative) for negative in ("", "black"))
    assert judge.colour_of(plain, judge.things(plain)[0]) == "black"
    assert judge.colour_of(without, judge.things(without)[0]) != "black"


def test_the_upscaler_is_sharper_than_bicubic_on_unseen_images_of_each_style(
    painter: Painter,
) -> None:
    assert (BUILTINS_DIR / "upscaler.safetensors").stat().st_size <= 100_000
    gained: dict[str, float] = {}
    for number, image in enumerate(unseen(2, 2 * len(STYLE_NAMES))):
        small = halved(image)
        bicubic = psnr(small.resize(image.size, Image.Resampling.BICUBIC), image)
        style = STYLE_NAMES[number % len(STYLE_NAMES)]
        gained[style] = gained.get(style, 0.0) + psnr(painter.enlarge(small), image) - bicubic
    assert {style for style, gain in gained.items() if gain > 0} == {*STYLE_NAMES}


def test_a_goal_that_is_missed_is_marked() -> None:
    rows = [Row("a", "1 %", "≥ 2 %", met=False), Row("b", "3 %", "≥ 2 %", met=True), Row("c", "4")]
    lines = table(rows, "here").splitlines()
    assert lines[2:5] == [
        "| a | 1 % **(missed)** | ≥ 2 % |",
        "| b | 3 % | ≥ 2 % |",
        "| c | 4 | – |",
    ]


def test_the_model_card_names_every_file() -> None:
    card = (BUILTINS_DIR / "README.md").read_text(encoding="utf-8")
    for path in BUILTINS_DIR.iterdir():
        name = f"{path.name}/" if path.is_dir() else path.name
        assert f"`{name}`" in card or path.name == "README.md"
    assert Path(BUILTINS_DIR / "README.md").stat().st_size > 1000
