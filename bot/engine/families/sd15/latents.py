"""The scale of SD 1.5's latents and their colours. Imports torch."""

from typing import Final

from bot.engine.families.family import PreviewFactors

SCALE: Final = 0.18215
"""`scaling_factor` of SD 1.5's own VAE (arXiv 2112.10752, appendix G): it gives the latents a
standard deviation of 1."""

_HALF: Final = 127.5
PREVIEW: Final = PreviewFactors(
    weights=(
        (0.3512 * _HALF, 0.3250 * _HALF, -0.2829 * _HALF, -0.2120 * _HALF),
        (0.2297 * _HALF, 0.4974 * _HALF, 0.1762 * _HALF, -0.2616 * _HALF),
        (0.3227 * _HALF, 0.2350 * _HALF, 0.2721 * _HALF, -0.7177 * _HALF),
    ),
    biases=(_HALF, _HALF, _HALF),
)
"""From comfyanonymous/ComfyUI, comfy/latent_formats.py, `SD15.latent_rgb_factors`, which map to
colours from -1 to 1."""
