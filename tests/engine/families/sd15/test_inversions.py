"""Embeddings in the prompts of SD 1.5, against diffusers' own textual inversion."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.request import EmbeddingUse
from catalog import EmbeddingEntry, Embeddings
from tests.engine.factories import digests, paint, save
from tests.engine.families.sd15.factories import (
    TINY,
    catalog,
    encode,
    plain_pipeline,
    request,
    same,
)
from tests.parameters import mostly_long

pytestmark = pytest.mark.long

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


NAMES = ("emb_params", "string_to_param.*", "<wort>", "clip_l")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_in_any_layout_stands_for_its_vectors(
    engine: Engine, sd15_dir: Path, tmp_path: Path, name: str
) -> None:
    """As AUTOMATIC1111 and kohya's, diffusers' and ComfyUI's scripts call the one tensor."""
    import torch
    from diffusers import EulerDiscreteScheduler

    path = save(tmp_path / "wort.safetensors", {name: vectors(3)})
    entry = EmbeddingEntry(key="wort", name="wort", path=str(path))
    offered = replace(catalog(), embeddings=Embeddings({"wort": entry}))
    asked = request(prompt="a wort fox", embeddings=(EmbeddingUse("wort", "wort"),))
    painted = paint(engine, asked, offered)
    assert painted.warnings == ()
    plain = plain_pipeline(sd15_dir / TINY)
    plain.load_textual_inversion({"wort": vectors(3)}, token="wort")
    plain.scheduler = EulerDiscreteScheduler.from_config(plain.scheduler.config)
    expected = plain(
        "a wort fox",
        negative_prompt="",
        num_inference_steps=2,
        guidance_scale=5.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(11),
    ).images[0]
    assert painted.images[0].image.tobytes() == expected.tobytes()
    assert digests(painted) != digests(paint(engine, request(prompt="a wort fox"), catalog()))


def test_one_for_both_of_sdxls_text_encoders_is_refused(engine: Engine, tmp_path: Path) -> None:
    import torch

    tensors = {"clip_l": vectors(2), "clip_g": torch.ones(2, 48)}
    entry = EmbeddingEntry(
        key="wort", name="wort", path=str(save(tmp_path / "x.safetensors", tensors))
    )
    offered = replace(catalog(), embeddings=Embeddings({"wort": entry}))
    asked = request(prompt="a wort fox", embeddings=(EmbeddingUse("wort", "wort"),))
    with pytest.raises(JobFailed) as failure:
        paint(engine, asked, offered)
    assert failure.value.code == "embedding.other_width"
    assert failure.value.params["found"] == "32 + 48"
    assert failure.value.params["expected"] == "32"
