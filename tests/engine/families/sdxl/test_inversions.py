"""Embeddings in prompts, against diffusers' own textual inversion."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.factories import TINY

pytestmark = pytest.mark.long


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
    from bot.engine.families.unet.text import Inversions
    from catalog import Words

    parts = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2")
    encoders = text.Encoders(*(getattr(plain, part) for part in parts))
    names = [*words]
    inversions = Inversions(Words((name, names.index(name)) for name in names), [*words.values()])
    with torch.inference_mode():
        (encoded,) = text.encode(encoders, [(prompt, negative)], skip, inversions, force_zeros=True)
        return encoded


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
    options = {} if skip is None else {"clip_skip": skip - 2}
    with torch.inference_mode():
        expected, _, pooled, _ = plain.encode_prompt(prompt.format("wort", "wort"), **options)
        # Here, clip skip is for the negative prompt as well.
        wrong, _, wrong_pooled, _ = plain.encode_prompt("blurry, wort", **options)
    got = (found.prompt, found.negative, found.pooled, found.negative_pooled)
    theirs = (expected, wrong, pooled, wrong_pooled)
    assert all(same(one, other) for one, other in zip(got, theirs, strict=True))


def test_emphasis_counts_for_every_vector(plain: Any) -> None:
    bare = encode(plain, "a wort fox", None, None, wort=vectors(2))
    weighted = encode(plain, "a (wort:1.5) fox", None, None, wort=vectors(2))
    assert same(weighted.pooled, bare.pooled)
    before, after = (each.prompt[0, :, :32].double() for each in (bare, weighted))
    factor = (after * before).sum(-1) / (before * before).sum(-1)
    assert [float(factor[place] / factor[0]) for place in (1, 2, 3, 4)] == pytest.approx(
        [1, 1.5, 1.5, 1], abs=1e-4
    )


def test_a_long_prompt_is_its_chunks_with_the_embedding_whole(plain: Any) -> None:
    learned = vectors(8)
    start = " ".join(["fox"] * 70)
    both = encode(plain, f"{start} wort cat", None, None, wort=learned)
    first = encode(plain, start, None, None)
    second = encode(plain, "wort cat", None, None, wort=learned)
    assert both.prompt.shape == (1, 154, 80)
    assert same(both.prompt[:, :77], first.prompt)
    assert same(both.prompt[:, 77:], second.prompt)
    assert same(both.pooled, first.pooled)


def test_the_same_words_without_vectors_are_untouched(plain: Any) -> None:
    before = encode(plain, "a fox in the snow", "wort", None)
    encode(plain, "a wort", "wort", None, wort=vectors(3))
    after = encode(plain, "a fox in the snow", "wort", None)
    assert same(before.prompt, after.prompt)
    assert same(before.negative, after.negative)
    assert not plain.text_encoder.get_input_embeddings()._forward_hooks


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_vectors_are_read_in_the_encoders_precision(plain: Any, dtype: str) -> None:
    import torch

    for encoder in (plain.text_encoder, plain.text_encoder_2):
        encoder.to(getattr(torch, dtype))
    found = encode(plain, "a wort", None, None, wort=vectors(2))
    assert found.prompt.dtype == getattr(torch, dtype)
    assert bool(found.prompt.isfinite().all())


def test_where_the_pooled_output_is_taken_does_not_move(plain: Any) -> None:
    """SDXL's own configurations name a wrong end token, so the largest id counts as the end."""
    learned = vectors(2)
    right = encode(plain, "a wort fox", None, None, wort=learned)
    plain.text_encoder_2.eos_token_id = 2
    old = encode(plain, "a wort fox", None, None, wort=learned)
    assert same(old.pooled, right.pooled)
