"""FLUX.2 klein (Black Forest Labs, January 2026): 4 billion parameters, distilled and base."""

from typing import Final

from catalog.families.encoders import QWEN3_4B
from catalog.families.family import HALF, DraftPreset, Family, Part, PromptLimit, Variant
from catalog.families.files import (
    OF_DIFFUSERS,
    OF_TRANSFORMERS,
    TEXT_ENCODER,
    VAE,
    pipeline_files,
)
from catalog.families.flux2.recognition import ADAPTER_BASES, FLUX2_KLEIN, RECOGNITION
from catalog.families.vaes import KL_32
from catalog.predictions import FLOW
from catalog.ranges import FloatRange, IntRange

BASE: Final = "base"
DISTILLED: Final = "distilled"

FLUX2: Final = Family(
    key="flux2",
    place=30,
    name="FLUX.2 klein",
    licence="Apache-2.0",
    architectures=(FLUX2_KLEIN,),
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
    vae=KL_32,
    encoder=QWEN3_4B,
    config="black-forest-labs/FLUX.2-klein-4B",
    lent={
        TEXT_ENCODER: ("text_encoders.qwen3_4b.", "text_encoder."),
        VAE: ("first_stage_model.", "vae."),
    },
    repositories=frozenset(
        ("black-forest-labs/flux.2-klein-4b", "black-forest-labs/flux.2-klein-base-4b")
    ),
    parts=(
        Part("transformer", 7.22, 3.79),
        Part(TEXT_ENCODER, 5.80, 3.27),  # 27 layers of Qwen3-4B
        Part(VAE, 0.16, 0.16),
    ),
    prompt=PromptLimit(512),
    variants=(
        Variant(
            name=BASE,
            words=("base",),
            steps=IntRange(min=10, default=50, max=100),
            guidance=FloatRange(min=1.0, default=4.0, max=20.0),
            takes_negative=True,
            config="black-forest-labs/FLUX.2-klein-base-4B",
            # Its authors give no figure below 50 steps.
            draft=DraftPreset(steps=50, scale=HALF),
        ),
        Variant(
            name=DISTILLED,
            words=("distilled",),
            # Its authors call it klein, and only the other one "base"; so do those who convert
            # their files, and programs that tell them apart (InvokeAI pull request 9011).
            usually=("klein",),
            steps=IntRange(min=1, default=4, max=20),
            guidance=FloatRange(min=1.0, default=1.0, max=1.0),
            takes_negative=False,
            distilled=True,
            config="black-forest-labs/FLUX.2-klein-4B",
            draft=DraftPreset(steps=4, scale=HALF),
        ),
    ),
    work=42,
    size=(1024, 1024),
    pixel_step=16,  # the VAE's scale, and 2×2 of its pixels for the transformer
    bucket_step=16,
    shapes=(
        (1, 1),
        *((2, 3), (3, 4), (9, 16)),
        *((3, 2), (4, 3), (16, 9), (21, 9)),
    ),
    min_side=256,
    max_side=2048,
    max_pixels=2048 * 2048,
    hires_max_pixels=2048 * 2048,
    hires_max_side=3072,
    schedulers=("Euler", "DPM++ 2M", "UniPC"),
    predictions=(FLOW,),
    takes_emphasis=False,
    pictures_max=4,
    # As diffusers' Flux2ImageProcessor.
    picture_side_min=64,
    picture_ratio_max=8,
    adapts_text=False,
    fast_steps=(1, 8),
    fast_guidance=(1.0, 1.0),
)
