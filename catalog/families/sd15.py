"""Stable Diffusion 1.5 (arXiv 2112.10752) and the models trained from it."""

from typing import Final

from catalog.families.family import DraftPreset, Family
from catalog.ranges import FloatRange, IntRange
from catalog.schedulers import AYS, SCHEDULERS

SD15: Final = Family(
    key="sd15",
    name="Stable Diffusion 1.5",
    adapter_bases=("SD 1.5", "SD 1.5/2"),
    config="stable-diffusion-v1-5/stable-diffusion-v1-5",
    size=(512, 512),
    pixel_step=8,  # the VAE's scale
    bucket_step=64,
    shapes=((1, 1), (2, 3), (3, 4), (9, 16), (3, 2), (4, 3), (16, 9)),
    min_side=256,
    max_side=1024,
    max_pixels=768 * 1024,
    hires_max_pixels=2048 * 2048,
    hires_max_side=3072,
    steps=IntRange(min=10, default=25, max=100),
    guidance=FloatRange(min=1.0, default=7.0, max=30.0),
    schedulers=SCHEDULERS,
    takes_negative=True,
    takes_emphasis=True,
    takes_clip_skip=True,
    takes_image=True,
    takes_reference=True,
    adapts_text=True,
    draft=DraftPreset(spacing=AYS, steps=10, schedulers=("DPM++ 2M", "DPM++ 2M SDE", "Euler")),
    fast_steps=(1, 12),
    fast_guidance=(1.0, 4.0),
)
