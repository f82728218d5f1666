"""Chroma1 (Lodestone Rock, August 2025): 8.9 billion parameters, made from FLUX.1 schnell."""

from typing import Final

from catalog.families.chroma.recognition import ADAPTER_BASES, RECOGNITION
from catalog.families.encoders import T5_XXL
from catalog.families.family import HALF, DraftPreset, Family, Part, PromptLimit, Variant
from catalog.families.files import (
    OF_DIFFUSERS,
    OF_TRANSFORMERS,
    TEXT_ENCODER,
    VAE,
    pipeline_files,
)
from catalog.families.flux import CHROMA as MODEL
from catalog.families.vaes import KL_16
from catalog.predictions import FLOW
from catalog.ranges import FloatRange, IntRange

_STEPS: Final = IntRange(min=10, default=40, max=100)
_GUIDANCE: Final = FloatRange(min=1.0, default=3.0, max=20.0)
_DRAFT: Final = DraftPreset(steps=26, scale=HALF)
"""As many steps as the workflow that its author offers for ComfyUI."""

CHROMA: Final = Family(
    key="chroma",
    place=70,
    name="Chroma",
    licence="Apache-2.0",
    architectures=(MODEL,),
    adapter_bases=ADAPTER_BASES,
    recognition=RECOGNITION,
    files=pipeline_files(
        {
            "transformer": OF_DIFFUSERS,
            TEXT_ENCODER: OF_TRANSFORMERS,
            VAE: OF_DIFFUSERS,
        },
        ("tokenizer",),
    ),
    vae=KL_16,
    encoder=T5_XXL,
    config="lodestones/Chroma1-HD",
    lent={
        TEXT_ENCODER: ("text_encoders.t5xxl.", "text_encoder."),
        VAE: ("first_stage_model.", "vae."),
    },
    repositories=frozenset(f"lodestones/chroma1-{name}" for name in ("hd", "base", "flash")),
    parts=(
        Part("transformer", 16.58, 8.57),
        Part(TEXT_ENCODER, 8.87, 4.56),
        Part(VAE, 0.16, 0.16),
    ),
    prompt=PromptLimit(512),
    variants=(
        Variant(
            name="hd",
            plain=True,
            steps=_STEPS,
            guidance=_GUIDANCE,
            takes_negative=True,
            config="lodestones/Chroma1-HD",
            draft=_DRAFT,
        ),
        Variant(
            name="base",
            words=("base",),
            steps=_STEPS,
            guidance=_GUIDANCE,
            takes_negative=True,
            config="lodestones/Chroma1-Base",
            draft=_DRAFT,
        ),
        Variant(
            name="flash",
            words=("flash",),
            # 8 of a sampler that evaluates the transformer twice in each, or 16 of one.
            steps=IntRange(min=1, default=16, max=30),
            guidance=FloatRange(min=1.0, default=1.0, max=1.0),
            takes_negative=False,
            distilled=True,
            config="lodestones/Chroma1-Flash",
            draft=DraftPreset(steps=16, scale=HALF),
        ),
    ),
    # 113 million parameters in each of 57 blocks for 4,096 tokens, and their attention.
    work=65,
    size=(1024, 1024),
    pixel_step=16,  # the VAE's scale, and 2×2 of its pixels for the transformer
    bucket_step=16,
    shapes=((1, 1), (2, 3), (3, 4), (9, 16), (3, 2), (4, 3), (16, 9), (21, 9)),
    min_side=256,
    max_side=2048,
    max_pixels=2048 * 1024,
    hires_max_pixels=2048 * 2048,
    hires_max_side=3072,
    schedulers=("Euler", "DPM++ 2M", "UniPC"),
    predictions=(FLOW,),
    takes_emphasis=False,
    adapts_text=True,
    fast_steps=(1, 20),
    fast_guidance=(1.0, 1.0),
)
