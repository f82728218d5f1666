"""Embeddings in the prompts of SD 1.5, against diffusers' own textual inversion."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.families.sd15.factories import TINY, encode, plain_pipeline, same
from tests.parameters import mostly_long

PROMPTS = ["a red fox, {}", "{} in the snow", "{}, a fox, {}"]


def vectors(rows: int) -> Any:
    import torch

    return torch.randn(rows, 32, generator=torch.Generator().manual_seed(rows))


@pytest.mark.parametrize(
    ("prompt", "rows"), mostly_long([(text, n) for text in PROMPTS for n in (3, 1)], usual=1)
)
def test_the_conditioning_is_that_of_diffusers(sd15_dir: Path, prompt: str, rows: int) -> None:
    import torch

    plain = plain_pipeline(sd15_dir / TINY)  # of its own: loading an embedding changes it
    learned = (vectors(rows),)
    found = encode(plain, prompt.format("wort", "wort"), "blurry, wort", wort=learned)
    plain.load_textual_inversion({"wort": vectors(rows)}, token="wort")
    with torch.inference_mode():
        expected = plain.encode_prompt(
            prompt.format("wort", "wort"),
            device="cpu",
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
            negative_prompt="blurry, wort",
        )
    assert same(found.prompt, expected[0])
    assert same(found.negative, expected[1])
