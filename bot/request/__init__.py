"""What a user asks for: the request, its limits and its syntax."""

from bot.request.compose import ADAPTERS_MAX, COUNT_MAX, PROMPT_MAX, Draft, compose, draw_seed
from bot.request.lighter import lighter
from bot.request.model import (
    CRISP,
    DRAFT,
    FAST,
    PRESETS,
    REPAINT,
    SEED_MAX,
    UPSCALE_MODES,
    AdapterUse,
    EmbeddingUse,
    GenerationRequest,
    Hires,
    InitImage,
    Reference,
    Upscale,
)
from bot.request.naming import nameable
from bot.request.offers import (
    check_offered,
    default_model,
    find_model,
    find_scheduler,
    find_upscaler,
    is_gated,
)
from bot.request.pictures import HIRES_SCALES, REFERENCE_WEIGHT, STRENGTH, Picture
from bot.request.upscaling import (
    UPSCALE_SCALES,
    UPSCALED_PIXELS_MAX,
    UpscaleDraft,
    compose_upscale,
    scales_for,
    upscale_of,
)
from catalog.schedulers import AYS

__all__ = [
    "ADAPTERS_MAX",
    "AYS",
    "COUNT_MAX",
    "CRISP",
    "DRAFT",
    "FAST",
    "HIRES_SCALES",
    "PRESETS",
    "PROMPT_MAX",
    "REFERENCE_WEIGHT",
    "REPAINT",
    "SEED_MAX",
    "STRENGTH",
    "UPSCALED_PIXELS_MAX",
    "UPSCALE_MODES",
    "UPSCALE_SCALES",
    "AdapterUse",
    "Draft",
    "EmbeddingUse",
    "GenerationRequest",
    "Hires",
    "InitImage",
    "Picture",
    "Reference",
    "Upscale",
    "UpscaleDraft",
    "check_offered",
    "compose",
    "compose_upscale",
    "default_model",
    "draw_seed",
    "find_model",
    "find_scheduler",
    "find_upscaler",
    "is_gated",
    "lighter",
    "nameable",
    "scales_for",
    "upscale_of",
]
