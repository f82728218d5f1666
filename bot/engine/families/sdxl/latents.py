"""The scale of SDXL's latents and their colours. Imports torch."""

from typing import Final

from bot.engine.families.family import PreviewFactors

SCALE: Final = 0.13025
"""`scaling_factor` of SDXL's own VAE."""

PREVIEW: Final = PreviewFactors(
    weights=(
        (60.0, -60.0, 25.0, -70.0),
        (60.0, -5.0, 15.0, -50.0),
        (60.0, 10.0, -5.0, -35.0),
    ),
    biases=(150.0, 140.0, 130.0),
)
"""From diffusers' documentation, docs/source/en/using-diffusers/callback.md, "Display image after
each generation step", after
https://huggingface.co/blog/TimothyAlexisVass/explaining-the-sdxl-latent-space."""
