"""A recipe with all that metadata say, and texts that are hard to write down."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from PIL import Image

from bot.recipe import Recipe, Weights
from bot.request import AdapterUse, GenerationRequest

REQUEST = GenerationRequest(
    prompt="a red fox",
    negative="low quality, bad anatomy",
    model="sdxl-base",
    adapters=(AdapterUse("anime-style", 0.6), AdapterUse("ink", 1.0)),
    trigger_words=("anime style",),
    steps=30,
    guidance=7.5,
    seed=42,
    width=1024,
    height=768,
    count=2,
    scheduler="DPM++ 2M Karras",
)
RECIPE = Recipe(
    request=REQUEST,
    checkpoint=Weights("sdxl-base", "a" * 64, "a" * 10),
    vae=Weights("madebyollin/sdxl-vae-fp16-fix", "b" * 64, "b" * 10),
    adapters=(Weights("anime-style", "c" * 64, "c" * 12), Weights("ink", "d" * 64, "d" * 12)),
    scheduler={"class": "X", "betas": [0.1, 2], "lower": float("-inf"), "none": None},
    environment={"torch": "2.13.0", "device": "cpu"},
)
PLAIN = replace(RECIPE, adapters=(), vae=None, request=replace(REQUEST, adapters=()))


def with_request(**fields: Any) -> Recipe:
    return replace(RECIPE, request=replace(REQUEST, **fields))


def image(mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (16, 8), 7)


FORGE = (
    "masterpiece, 1girl,\n(fox ears:1.2) <lora:ink:0.8>\n"
    "Negative prompt: lowres,\nbad hands\n"
    "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 965400086, "
    "Size: 512x512, Model hash: 45dee52b, Model: x, "
    'ADetailer prompt: "a: \\"b\\",\\nc", '
    'Lora hashes: "ink: 0123456789ab", Version: f2.0.1v1.10.1-previous-1-g1'
)
NASTY = st.lists(
    st.sampled_from(
        [
            "Negative prompt:",
            "Negative prompt: ",
            "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1",
            "Prompt lines: 1",
            "\n",
            "\n\n",
            " ",
            '"',
            "\\",
            ",",
            "🦊",
            "水彩",
            "<lora:x:1>",
            "\r",
            "\u2028",
            "a fox",
        ]
    )
    | st.text(max_size=5),
    max_size=8,
).map("".join)
