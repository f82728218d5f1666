"""Anima (CircleStone Labs and Comfy Org, 2026): 2 billion parameters, for illustrations."""

from typing import Final

from catalog.families.anima.recognition import ANIMA_MODEL, RECOGNITION
from catalog.families.encoders import QWEN3_06B
from catalog.families.family import HALF, DraftPreset, Family, Part, PromptLimit, Variant
from catalog.families.files import (
    MODULAR_INDEX,
    OF_DIFFUSERS,
    OF_TRANSFORMERS,
    TEXT_ENCODER,
    VAE,
    pipeline_files,
)
from catalog.families.vaes import QWEN
from catalog.predictions import FLOW
from catalog.ranges import FloatRange, IntRange

ANIMA: Final = Family(
    key="anima",
    place=50,
    name="Anima",
    licence="CircleStone Labs Non-Commercial License",
    architectures=(ANIMA_MODEL,),
    adapter_bases=(ANIMA_MODEL,),
    recognition=RECOGNITION,
    # Its authors publish the configuration of all variants once, and so one shift, of 3.0.
    files=pipeline_files(
        {
            "transformer": OF_DIFFUSERS,
            "text_conditioner": OF_DIFFUSERS,
            TEXT_ENCODER: OF_TRANSFORMERS,
            VAE: OF_DIFFUSERS,
        },
        ("tokenizer", "t5_tokenizer"),
        MODULAR_INDEX,
    ),
    vae=QWEN,
    encoder=QWEN3_06B,
    config="circlestone-labs/Anima-Base-v1.0-Diffusers",
    lent={
        TEXT_ENCODER: ("text_encoders.qwen3_06b.", "text_encoder."),
        VAE: ("first_stage_model.", "vae."),
    },
    repositories=frozenset(
        ("circlestone-labs/anima", "circlestone-labs/anima-base-v1.0-diffusers")
    ),
    parts=(
        Part("transformer", 3.64, 2.01),
        Part("text_conditioner", 0.25, 0.25),
        Part(TEXT_ENCODER, 1.11, 0.70),
        Part(VAE, 0.24, 0.24),
    ),
    prompt=PromptLimit(512),
    variants=(
        Variant(
            name="turbo",
            words=("turbo",),
            steps=IntRange(min=4, default=10, max=30),
            guidance=FloatRange(min=1.0, default=1.0, max=1.0),
            takes_negative=False,
            distilled=True,
            draft=DraftPreset(steps=10, scale=HALF),
        ),
        Variant(
            name="base",
            words=("base", "aesthetic", "preview"),
            # Fine-tunes are named after the model alone, and are made from the base; what was made
            # from Turbo says so, as its authors do.
            usually=("anima",),
            steps=IntRange(min=10, default=30, max=100),
            guidance=FloatRange(min=1.0, default=4.5, max=20.0),
            takes_negative=True,
            # Its authors recommend 30 to 50 steps.
            draft=DraftPreset(steps=30, scale=HALF),
        ),
    ),
    # 59 million parameters in each of 28 blocks for 4,096 tokens, and their attention.
    work=18.0,
    size=(1024, 1024),
    pixel_step=16,  # the VAE's scale, and 2×2 of its pixels for the transformer
    bucket_step=64,
    shapes=((1, 1), (2, 3), (3, 4), (9, 16), (3, 2), (4, 3), (16, 9)),
    min_side=512,
    max_side=1536,
    # Its authors advise about one megapixel.
    max_pixels=1536 * 1024,
    # The transformer has positions for 2048 pixels along each side.
    hires_max_pixels=2048 * 2048,
    hires_max_side=2048,
    schedulers=("Euler", "Heun", "DPM++ 2M", "DPM++ 2M SDE", "UniPC"),
    predictions=(FLOW,),
    takes_emphasis=True,
    adapts_text=True,
    fast_steps=(1, 12),
    fast_guidance=(1.0, 1.0),
)
