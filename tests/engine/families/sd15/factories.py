"""SD 1.5 models in catalogs and in plain diffusers."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.request import GenerationRequest
from catalog import AdapterEntry, Catalog, ControlNets, ModelEntry, ReferenceEntry
from catalog.families.sd15 import SD15
from tests.engine import factories

TINY = "sd15"
"""A folder in `models_dir`; so is `sd15-other`, of the same shape with other weights."""


def model(key: str, path: str, **fields: Any) -> ModelEntry:
    return factories.model(key, path, family=SD15, **fields)


def catalog(
    models: Iterable[ModelEntry] = (),
    reference: ReferenceEntry | None = None,
    controlnets: ControlNets | None = None,
    **adapters: Path | str | AdapterEntry,
) -> Catalog:
    """A catalog of `sd15` and `sd15-other`, of SDXL's `demo` and `other`, and of `models`."""
    entries = [model("sd15", TINY), model("sd15-other", "sd15-other"), *models]
    references = {SD15.key: reference} if reference else {}
    return replace(
        factories.catalog(entries, None, controlnets, None, **adapters), references=references
    )


def request(*adapters: tuple[str, float], **fields: Any) -> GenerationRequest:
    return factories.request(*adapters, **{"model": "sd15", **fields})


def plain_pipeline(folder: Path) -> Any:
    """The model of a diffusers folder, in plain diffusers."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        safety_checker=None,
        feature_extractor=None,
    )
    pipeline.set_progress_bar_config(disable=True)
    for name in ("unet", "vae", "text_encoder"):
        factories.realign(getattr(pipeline, name))
    return pipeline


def encode(
    plain: Any, prompt: str, negative: str | None = None, skip: int | None = None, **words: Any
) -> Any:
    """A prompt with the networks of `plain`. words: the vectors that each stands for."""
    import torch

    from bot.engine.families.sd15 import text
    from bot.engine.families.unet.text import Inversions
    from catalog import Words

    names = [*words]
    known = Words((name, names.index(name)) for name in names)
    inversions = Inversions(known, [*words.values()])
    with torch.inference_mode():
        (encoded,) = text.encode(
            plain.tokenizer, plain.text_encoder, [(prompt, negative)], skip, inversions
        )
        return encoded


def same(one: Any, other: Any) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())
