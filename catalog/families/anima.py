"""Anima (CircleStone Labs and Comfy Org, 2026): 2 billion parameters, for illustrations."""

from typing import Final

from catalog.families.family import Family
from catalog.ranges import FloatRange, IntRange

ANIMA: Final = Family(
    key="anima",
    name="Anima",
    adapter_bases=("Anima",),
    config="circlestone-labs/Anima-Base-v1.0-Diffusers",
    size=(1024, 1024),
    pixel_step=16,  # the VAE's scale, and 2×2 of its pixels for the transformer
    bucket_step=64,
    shapes=((1, 1), (2, 3), (3, 4), (9, 16), (3, 2), (4, 3), (16, 9)),
    min_side=512,
    max_side=1536,
    # Its authors advise about one megapixel.
    max_pixels=1536 * 1024,
    # The transformer has positions for 2048 pixels along each side.
    hires_max_pixels=2048 * 2048,
    hires_max_side=2048,
    steps=IntRange(min=1, default=30, max=100),
    guidance=FloatRange(min=1.0, default=4.5, max=20.0),
    schedulers=("Euler", "Heun", "DPM++ 2M", "DPM++ 2M SDE", "UniPC"),
    takes_negative=True,
    takes_emphasis=False,
    takes_clip_skip=False,
    takes_image=True,
    takes_reference=False,
    adapts_text=True,
    draft=None,
    fast_steps=(1, 12),
    fast_guidance=(1.0, 1.0),
)
