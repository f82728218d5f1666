"""What a person asks for: the request, its limits and its syntax."""

from bot.request.compose import (
    COUNT_MAX,
    PROMPT_MAX,
    Draft,
    check_offered,
    compose,
    draw_seed,
    find_model,
)
from bot.request.model import (
    AYS,
    DRAFT,
    FAST,
    PRESETS,
    SEED_MAX,
    AdapterUse,
    GenerationRequest,
    Hires,
    InitImage,
    Reference,
)

__all__ = [
    "AYS",
    "COUNT_MAX",
    "DRAFT",
    "FAST",
    "PRESETS",
    "PROMPT_MAX",
    "SEED_MAX",
    "AdapterUse",
    "Draft",
    "GenerationRequest",
    "Hires",
    "InitImage",
    "Reference",
    "check_offered",
    "compose",
    "draw_seed",
    "find_model",
]
