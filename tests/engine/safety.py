"""Safety checkers of a tiny model's size, in the published file format."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image

from tests.engine.factories import save

FOLDER = "safety_checker"
SIDE = 28


def pictures() -> tuple[PIL.Image.Image, PIL.Image.Image]:
    """Two that a checker can be made to tell apart."""
    return PIL.Image.radial_gradient("L").convert("RGB"), PIL.Image.new("RGB", (80, 64), "blue")


def module(*, bad: PIL.Image.Image, good: PIL.Image.Image) -> Any:
    """One that flags `bad`, and not `good`."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import (
        StableDiffusionSafetyChecker,
    )
    from transformers import CLIPConfig, CLIPTextConfig, CLIPVisionConfig

    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=14,
    )
    text = CLIPTextConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4
    )
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    checker = StableDiffusionSafetyChecker(config).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in checker.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        near, far = (_embedding(checker, image) for image in (bad, good))
        far = torch.nn.functional.normalize(far)
        concept = near - (near * far).sum() * far  # what the other has nothing of
        checker.concept_embeds.copy_(concept.expand(17, -1))
        similar = torch.nn.functional.cosine_similarity(near, concept).item()
        checker.concept_embeds_weights.fill_(similar / 2)
        checker.special_care_embeds_weights.fill_(2.0)
    return checker


def build(
    folder: Path,
    *,
    bad: PIL.Image.Image,
    good: PIL.Image.Image,
    generation: int = 5,
    everything: bool = False,
) -> None:
    """Write one below `folder`. generation: of transformers, which named the tensors.

    everything: have it flag any image.
    """
    checker = module(bad=bad, good=good)
    if everything:
        checker.concept_embeds_weights.data.fill_(-2.0)
    tensors = checker.state_dict()
    if generation == 4:
        once, twice = "vision_model.", "vision_model.vision_model."
        tensors = {
            twice + name.removeprefix(once) if name.startswith(once) else name: tensor
            for name, tensor in tensors.items()
        }
    save(folder / FOLDER / "model.safetensors", tensors)
    config = json.dumps({**checker.config.to_dict(), "architectures": [type(checker).__name__]})
    (folder / FOLDER / "config.json").write_text(config, encoding="utf-8")


def judged_by_diffusers(
    folder: Path,
    *,
    bad: PIL.Image.Image,
    good: PIL.Image.Image,
    images: Sequence[PIL.Image.Image],
) -> tuple[bool, ...]:
    """What diffusers' own says, given all of them at once."""
    import numpy as np

    checker = module(bad=bad, good=good)
    blank = [np.zeros(1) for _ in images]
    _, flags = checker(clip_input=_pixels(images), images=blank)
    return tuple(map(bool, flags))


def _embedding(checker: Any, image: PIL.Image.Image) -> Any:
    return checker.visual_projection(checker.vision_model(_pixels([image]))[1])


def _pixels(images: Sequence[PIL.Image.Image]) -> Any:
    from transformers import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(size=SIDE, crop_size=SIDE)
    return processor(list(images), return_tensors="pt").pixel_values
