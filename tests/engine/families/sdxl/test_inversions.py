"""Embeddings in prompts, against diffusers' own textual inversion."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.factories import TINY

WIDTHS = (32, 48)
PROMPTS = ["{} in the snow", "a red fox, {}", "{}, a fox, {}", "{}"]


@pytest.fixture
def plain(models_dir: Path) -> Any:
    """A pipeline of its own for each test: loading an embedding changes it."""
    from diffusers import StableDiffusionXLPipeline

    return StableDiffusionXLPipeline.from_pretrained(
        models_dir / TINY, use_safetensors=True, local_files_only=True
    )


def vectors(rows: int, seed: int = 1) -> tuple[Any, Any]:
    import torch

    noise = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(rows, width, generator=noise) for width in WIDTHS)
    return first, second


def encode(plain: Any, prompt: str, negative: str | None, skip: int | None, **words: Any) -> Any:
    """words: the vectors that each stands for."""
    import torch

    from bot.engine.families.sdxl import text
    from catalog import Words

    parts = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2")
    encoders = text.Encoders(*(getattr(plain, part) for part in parts))
    names = [*words]
    inversions = text.Inversions(
        Words((name, names.index(name)) for name in names), [*words.values()]
    )
    with torch.inference_mode():
        return text.encode(encoders, prompt, negative, skip, inversions)


def same(one: Any, other: Any) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("skip", [None, 3])
def test_the_conditioning_is_that_of_diffusers(
    plain: Any, prompt: str, rows: int, skip: int | None
) -> None:
    import torch

    learned = vectors(rows)
    found = encode(plain, prompt.format("wort", "wort"), "blurry, wort", skip, wort=learned)
    for own, tokenizer, encoder in zip(
        learned, ("tokenizer", "tokenizer_2"), ("text_encoder", "text_encoder_2"), strict=True
    ):
        plain.load_textual_inversion(
            {"wort": own},
            token="wort",
            text_encoder=getattr(plain, encoder),
            tokenizer=getattr(plain, tokenizer),
        )
    with torch.inference_mode():
        expected = plain.encode_prompt(
            prompt.format("wort", "wort"),
            negative_prompt="blurry, wort",
            do_classifier_free_guidance=True,
            clip_skip=None if skip is None else skip - 2,
        )
    got = (found.prompt, found.negative, found.pooled, found.negative_pooled)
    assert all(same(one, other) for one, other in zip(got, expected, strict=True))
