"""What SDXL's UNet is told: embeddings and sizes. Imports torch."""

from typing import Any, Final

import torch

from bot.engine.families.sdxl.text import Encoded
from bot.engine.families.unet.conditioning import Conditioning

SIZES: Final = 6
"""Numbers about sizes: original size, crop, target size (arXiv 2307.01952, section 2.2)."""


def condition(
    encoded: Encoded, size: tuple[int, int], image: list[torch.Tensor] | None
) -> Conditioning:
    """See `Family.condition`. Its `added`: the pooled prompt, shape (1 or 2, projection); the
    sizes, shape (1 or 2, SIZES); and the embeddings of a reference image, if there is one."""
    prompt, pooled = encoded.prompt, encoded.pooled
    if encoded.negative is not None and encoded.negative_pooled is not None:
        prompt = torch.cat([encoded.negative, prompt])
        pooled = torch.cat([encoded.negative_pooled, pooled])
    width, height = size
    ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=prompt.dtype)
    added: dict[str, Any] = {
        "text_embeds": pooled,
        "time_ids": ids.repeat(prompt.shape[0], 1).to(prompt.device),
    }
    if image is not None:
        added["image_embeds"] = image
    return Conditioning(prompt, added)
