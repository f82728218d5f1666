"""Z-Image (Alibaba Tongyi Lab, November 2025): 6 billion parameters, Turbo and base."""

from typing import Final

from catalog.families.family import Family
from catalog.ranges import FloatRange, IntRange

ZIMAGE: Final = Family(
    key="zimage",
    name="Z-Image",
    adapter_bases=("Z-Image",),
    config="Tongyi-MAI/Z-Image-Turbo",
    size=(1024, 1024),
    pixel_step=16,  # the VAE's scale, and 2×2 of its pixels for the transformer
    bucket_step=16,
    shapes=((1, 1), (2, 3), (3, 4), (9, 16), (3, 2), (4, 3), (16, 9), (21, 9)),
    min_side=256,
    max_side=2048,
    max_pixels=2048 * 2048,
    hires_max_pixels=2048 * 2048,
    hires_max_side=3072,
    steps=IntRange(min=1, default=9, max=100),
    guidance=FloatRange(min=1.0, default=1.0, max=20.0),
    schedulers=("Euler", "Heun", "DPM++ 2M", "UniPC"),
    takes_negative=True,
    takes_emphasis=False,
    takes_clip_skip=False,
    takes_image=True,
    takes_reference=False,
    adapts_text=False,
    draft=None,
    fast_steps=(1, 12),
    fast_guidance=(1.0, 1.0),
)
