"""What a user asks for: the request, its limits and its syntax."""

from bot.request.axes import AXES, AxisAsk
from bot.request.cells import CELLS_MAX, Cell, cells, paint_order
from bot.request.compare import compare, compare_again, usual_values
from bot.request.compose import ADAPTERS_MAX, COUNT_MAX, PROMPT_MAX, Draft, compose, draw_seed
from bot.request.lighter import lighter
from bot.request.model import (
    DRAFT,
    FAST,
    PRESETS,
    SEED_MAX,
    AdapterUse,
    Axis,
    Comparison,
    EmbeddingUse,
    GenerationRequest,
    Hires,
    InitImage,
    Reference,
)
from bot.request.naming import nameable
from bot.request.offers import (
    check_offered,
    default_model,
    find_model,
    find_scheduler,
    is_gated,
)
from bot.request.pictures import HIRES_SCALES, REFERENCE_WEIGHT, STRENGTH, Picture
from bot.request.redraft import redraft
from catalog.schedulers import AYS

__all__ = [
    "ADAPTERS_MAX",
    "AXES",
    "AYS",
    "CELLS_MAX",
    "COUNT_MAX",
    "DRAFT",
    "FAST",
    "HIRES_SCALES",
    "PRESETS",
    "PROMPT_MAX",
    "REFERENCE_WEIGHT",
    "SEED_MAX",
    "STRENGTH",
    "AdapterUse",
    "Axis",
    "AxisAsk",
    "Cell",
    "Comparison",
    "Draft",
    "EmbeddingUse",
    "GenerationRequest",
    "Hires",
    "InitImage",
    "Picture",
    "Reference",
    "cells",
    "check_offered",
    "compare",
    "compare_again",
    "compose",
    "default_model",
    "draw_seed",
    "find_model",
    "find_scheduler",
    "is_gated",
    "lighter",
    "nameable",
    "paint_order",
    "redraft",
    "usual_values",
]
