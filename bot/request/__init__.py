"""What a user asks for: the request, its limits and its syntax."""

from bot.request.compose import (
    ADAPTERS_MAX,
    COUNT_MAX,
    Composed,
    Draft,
    compose,
    compose_with_notes,
    draw_seed,
)
from bot.request.dialects.samplers import find_scheduler
from bot.request.drawing import PROMPT_MAX, typed_again, varied
from bot.request.lighter import lighter
from bot.request.model import (
    DRAFT,
    FAST,
    PRESETS,
    RANDOM,
    SEED_MAX,
    AdapterUse,
    DrawnPrompts,
    EmbeddingUse,
    GenerationRequest,
    Hires,
    InitImage,
    Reference,
    Template,
)
from bot.request.naming import nameable
from bot.request.offers import (
    check_offered,
    default_model,
    find_model,
    is_gated,
)
from bot.request.pictures import HIRES_SCALES, REFERENCE_WEIGHT, STRENGTH, Picture
from catalog.schedulers import AYS

__all__ = [
    "ADAPTERS_MAX",
    "AYS",
    "COUNT_MAX",
    "DRAFT",
    "FAST",
    "HIRES_SCALES",
    "PRESETS",
    "PROMPT_MAX",
    "RANDOM",
    "REFERENCE_WEIGHT",
    "SEED_MAX",
    "STRENGTH",
    "AdapterUse",
    "Composed",
    "Draft",
    "DrawnPrompts",
    "EmbeddingUse",
    "GenerationRequest",
    "Hires",
    "InitImage",
    "Picture",
    "Reference",
    "Template",
    "check_offered",
    "compose",
    "compose_with_notes",
    "default_model",
    "draw_seed",
    "find_model",
    "find_scheduler",
    "is_gated",
    "lighter",
    "nameable",
    "typed_again",
    "varied",
]
