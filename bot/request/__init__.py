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
from bot.request.model import SEED_MAX, AdapterUse, GenerationRequest

__all__ = [
    "COUNT_MAX",
    "PROMPT_MAX",
    "SEED_MAX",
    "AdapterUse",
    "Draft",
    "GenerationRequest",
    "check_offered",
    "compose",
    "draw_seed",
    "find_model",
]
