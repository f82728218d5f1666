"""What a user asks for: the request, its limits and its syntax."""

from bot.request.axes import AXES, AxisAsk, axes_asked
from bot.request.cells import CELLS_MAX, Cell, cells, paint_order
from bot.request.compare import compare, compare_again, usual_values
from bot.request.compose import (
    ADAPTERS_MAX,
    COUNT_MAX,
    Composed,
    Fill,
    compose,
    compose_with_notes,
    draw_seed,
)
from bot.request.dialects.samplers import find_scheduler
from bot.request.draft import EDITED, Draft
from bot.request.drafts import (
    DRAFTS,
    AnyDraft,
    CompareDraft,
    DraftKind,
    compose_any,
    kind_of,
)
from bot.request.drawing import PROMPT_MAX, typed_again, varied
from bot.request.lighter import lighter
from bot.request.model import (
    DRAFT,
    FAST,
    PRESETS,
    Comparison,
    GenerationRequest,
)
from bot.request.naming import nameable
from bot.request.offers import (
    check_offered,
    default_model,
    editing_models,
    find_adapter,
    find_model,
    find_upscaler,
    is_gated,
    usual_model,
)
from bot.request.options import Named, Options
from bot.request.parts import (
    CRISP,
    RANDOM,
    REPAINT,
    SEED_MAX,
    UPSCALE_MODES,
    AdapterUse,
    Axis,
    Box,
    DrawnPrompts,
    EmbeddingUse,
    Hires,
    InitImage,
    Reference,
    Template,
    Upscale,
)
from bot.request.pictures import AWAITED, HIRES_SCALES, REFERENCE_WEIGHT, STRENGTH, Picture
from bot.request.redraft import redraft
from bot.request.upscaling import (
    UPSCALE_SCALES,
    UPSCALED_PIXELS_MAX,
    UpscaleDraft,
    compose_upscale,
    scales_for,
    upscale_of,
)
from bot.request.variation import MIXES_MAX, Mix, Variation
from catalog.schedulers import AYS

__all__ = [
    "ADAPTERS_MAX",
    "AWAITED",
    "AXES",
    "AYS",
    "CELLS_MAX",
    "COUNT_MAX",
    "CRISP",
    "DRAFT",
    "DRAFTS",
    "EDITED",
    "FAST",
    "HIRES_SCALES",
    "MIXES_MAX",
    "PRESETS",
    "PROMPT_MAX",
    "RANDOM",
    "REFERENCE_WEIGHT",
    "REPAINT",
    "SEED_MAX",
    "STRENGTH",
    "UPSCALED_PIXELS_MAX",
    "UPSCALE_MODES",
    "UPSCALE_SCALES",
    "AdapterUse",
    "AnyDraft",
    "Axis",
    "AxisAsk",
    "Box",
    "Cell",
    "CompareDraft",
    "Comparison",
    "Composed",
    "Draft",
    "DraftKind",
    "DrawnPrompts",
    "EmbeddingUse",
    "Fill",
    "GenerationRequest",
    "Hires",
    "InitImage",
    "Mix",
    "Named",
    "Options",
    "Picture",
    "Reference",
    "Template",
    "Upscale",
    "UpscaleDraft",
    "Variation",
    "axes_asked",
    "cells",
    "check_offered",
    "compare",
    "compare_again",
    "compose",
    "compose_any",
    "compose_upscale",
    "compose_with_notes",
    "default_model",
    "draw_seed",
    "editing_models",
    "find_adapter",
    "find_model",
    "find_scheduler",
    "find_upscaler",
    "is_gated",
    "kind_of",
    "lighter",
    "nameable",
    "paint_order",
    "redraft",
    "scales_for",
    "typed_again",
    "upscale_of",
    "usual_model",
    "usual_values",
    "varied",
]
