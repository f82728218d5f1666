"""Z-Image (Alibaba Tongyi Lab, November 2025): 6 billion parameters, Turbo and base."""

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
from catalog.families.vaes import KL_16
from catalog.families.zimage.recognition import RECOGNITION, Z_IMAGE
from catalog.predictions import FLOW
from catalog.ranges import FloatRange, IntRange

ZIMAGE: Final = Family(
    key="zimage",
    place=40,
    name="Z-Image",
    licence="Apache-2.0",
    architectures=(Z_IMAGE,),
    adapter_bases=(Z_IMAGE,),
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
    encoder=QWEN3_4B,
    config="Tongyi-MAI/Z-Image-Turbo",
    lent={
        TEXT_ENCODER: ("text_encoders.qwen3_4b.", "text_encoder."),
        VAE: ("first_stage_model.", "vae."),
    },
    repositories=frozenset(("tongyi-mai/z-image", "tongyi-mai/z-image-turbo")),
    parts=(
        Part("transformer", 11.46, 5.87),
        Part(TEXT_ENCODER, 7.30, 4.02),  # 35 layers of Qwen3-4B
        Part(VAE, 0.16, 0.16),
    ),
    prompt=PromptLimit(512),
    variants=(
        Variant(
            name="turbo",
            words=("turbo", "zit"),  # as those who fine-tune them abbreviate both
            steps=IntRange(min=1, default=9, max=30),
            guidance=FloatRange(min=1.0, default=1.0, max=1.0),
            takes_negative=False,
            distilled=True,
            config="Tongyi-MAI/Z-Image-Turbo",
            shift=3.0,
            draft=DraftPreset(steps=9, scale=HALF),
        ),
        Variant(
            name="base",
            # Its authors call it Z-Image, as many did Turbo while there was no other.
            words=("base", "zib"),
            steps=IntRange(min=10, default=40, max=100),
            guidance=FloatRange(min=1.0, default=5.0, max=20.0),
            takes_negative=True,
            config="Tongyi-MAI/Z-Image",
            shift=6.0,
            # Its authors recommend 28 to 50 steps.
            draft=DraftPreset(steps=28, scale=HALF),
        ),
    ),
    work=60,
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
    adapts_text=True,
    fast_steps=(1, 12),
    fast_guidance=(1.0, 1.0),
)
