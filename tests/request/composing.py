"""A catalog, and requests that are composed from it or refused."""

from typing import Any

import pytest

from bot.errors import InvalidRequest, UserError
from bot.request import Draft, GenerationRequest, compose
from catalog import AdapterEntry, AdapterFacts, Catalog, FloatRange, IntRange, ModelEntry


def model(key: str, **fields: Any) -> ModelEntry:
    return ModelEntry(**{"key": key, "name": key.title(), "path": f"org/{key}", **fields})


def adapter(key: str, **fields: Any) -> AdapterEntry:
    return AdapterEntry(**{"key": key, "name": key.title(), "path": f"org/{key}", **fields})


MODELS = [
    model("base", name="SDXL base", default_negative="low quality", clip_skip=2),
    model(
        "fast",
        steps=IntRange(min=4, default=6, max=8),
        guidance=FloatRange(min=0, default=1, max=2),
        size=(512, 512),
        min_side=256,
        max_side=768,
        max_pixels=512 * 640,
        scheduler="LCM",
    ),
    model("pony-xl-v6", enabled=False),
    model("adult", nsfw=True),
]
ADAPTERS = [
    adapter("ink", default_weight=0.75, trigger_words=("ink wash", "Sumi-e")),
    adapter("anime", name="Anime Detailer", trigger_words=("anime style", "INK WASH")),
    adapter("pixel", trigger_words=("c++ (pixel)",)),
    adapter("grain"),
    adapter("glow"),
    adapter("off", enabled=False),
    adapter("nude", nsfw=True),
    adapter("fast-only", models=("fast", "base-2")),
    adapter("old-15"),
    adapter("old-vouched", models=("base",)),
    adapter("dynamic"),
    adapter("pony"),
]
FACTS = {
    "ink": AdapterFacts("LoRA", "SDXL", True, tags=("never added",)),
    "old-15": AdapterFacts("LoRA", "SD 1.5", True),
    "old-vouched": AdapterFacts("(IA)³", "SD 1.5", certain=False),
    "dynamic": AdapterFacts("DyLoRA", "SDXL", True),
    "pony": AdapterFacts("LoKr", "Pony", True),
}
CATALOG = Catalog(
    {entry.key: entry for entry in MODELS},
    {entry.key: entry for entry in ADAPTERS},
    "base",
    adapter_facts=FACTS,
)


def composed(prompt: str = "a fox", *, nsfw: bool = False, **fields: Any) -> GenerationRequest:
    return compose(Draft(prompt=prompt, **fields), CATALOG, nsfw=nsfw, draw=lambda: 1234)


def refused(kind: type[UserError] = InvalidRequest, **fields: Any) -> tuple[str, dict[str, Any]]:
    with pytest.raises(kind) as error:
        composed(**fields)
    return error.value.code, dict(error.value.params)
