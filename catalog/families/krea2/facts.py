"""Krea 2 (Krea AI, June 2026): 12.8 billion parameters, Turbo and Raw."""

from typing import Final

from catalog.families.encoders import QWEN3_VL_4B
from catalog.families.family import HALF, DraftPreset, Family, Part, PromptLimit, Variant
from catalog.families.files import (
    OF_DIFFUSERS,
    OF_TRANSFORMERS,
    TEXT_ENCODER,
    VAE,
    pipeline_files,
)
from catalog.families.krea2.recognition import KREA_2, RECOGNITION
from catalog.families.vaes import QWEN
from catalog.predictions import FLOW
from catalog.ranges import FloatRange, IntRange

KREA2: Final = Family(
    key="krea2",
    place=80,
    name="Krea 2",
    licence="Krea 2 Community License",
    architectures=(KREA_2,),
    adapter_bases=(KREA_2,),
    recognition=RECOGNITION,
    files=pipeline_files(
        {
            "transformer": OF_DIFFUSERS,
            TEXT_ENCODER: OF_TRANSFORMERS,
            VAE: OF_DIFFUSERS,
        },
        ("tokenizer",),
    ),
    vae=QWEN,
    encoder=QWEN3_VL_4B,
    config="krea/Krea-2-Turbo",
    lent={
        TEXT_ENCODER: ("text_encoders.qwen3vl_4b.", "text_encoder."),
        VAE: ("first_stage_model.", "vae."),
    },
    repositories=frozenset(("krea/krea-2-turbo", "krea/krea-2-raw")),
    parts=(
        Part("transformer", 23.88, 12.25),
        Part(TEXT_ENCODER, 7.30, 4.02),  # 35 layers of Qwen3-VL-4B, without what reads images
        Part(VAE, 0.24, 0.24),
    ),
    prompt=PromptLimit(512),
    variants=(
        Variant(
            name="turbo",
            words=("turbo",),
            steps=IntRange(min=1, default=8, max=30),
            guidance=FloatRange(min=1.0, default=1.0, max=1.0),
            takes_negative=False,
            distilled=True,
            config="krea/Krea-2-Turbo",
            draft=DraftPreset(steps=8, scale=HALF),
        ),
        Variant(
            name="raw",
            # Its authors call it base, too, and so did those who converted it at first.
            words=("raw", "base"),
            steps=IntRange(min=10, default=52, max=100),
            guidance=FloatRange(min=1.0, default=4.5, max=20.0),
            takes_negative=True,
            config="krea/Krea-2-Raw",
            # The fewest that its authors give a figure for.
            draft=DraftPreset(steps=28, scale=HALF),
        ),
    ),
    # 434 million parameters in each of 28 blocks for 4,608 tokens, and their attention.
    work=130,
    size=(1024, 1024),
    pixel_step=16,  # the VAE's scale, and 2×2 of its pixels for the transformer
    bucket_step=16,
    shapes=((1, 1), (2, 3), (3, 4), (9, 16), (3, 2), (4, 3), (16, 9), (21, 9)),
    min_side=256,
    max_side=2048,
    max_pixels=2048 * 2048,
    hires_max_pixels=2048 * 2048,
    hires_max_side=3072,
    schedulers=("Euler", "DPM++ 2M", "UniPC"),
    predictions=(FLOW,),
    takes_emphasis=False,
    adapts_text=False,
    fast_steps=(1, 12),
    fast_guidance=(1.0, 1.0),
)
