"""FLUX.1 (Black Forest Labs, August 2024): 12 billion parameters, schnell and dev."""

from typing import Final

from catalog.families.family import HALF, DraftPreset, Family, Part, PromptLimit, Variant
from catalog.families.files import (
    OF_DIFFUSERS,
    OF_TRANSFORMERS,
    TEXT_ENCODER,
    VAE,
    pipeline_files,
)
from catalog.families.flux import FLUX
from catalog.families.flux1.recognition import ADAPTER_BASES, RECOGNITION
from catalog.families.vaes import KL_16
from catalog.predictions import FLOW
from catalog.ranges import FloatRange, IntRange

TEXT_ENCODER_2: Final = "text_encoder_2"
_STEPS: Final = IntRange(min=4, default=28, max=100)


def _guidance(default: float) -> FloatRange:
    return FloatRange(min=1.0, default=default, max=20.0)


FLUX1: Final = Family(
    key="flux1",
    place=60,
    name="FLUX.1",
    licence="Apache-2.0 (schnell), FLUX.1 [dev] Non-Commercial",
    architectures=(FLUX,),
    adapter_bases=ADAPTER_BASES,
    recognition=RECOGNITION,
    files=pipeline_files(
        {
            "transformer": OF_DIFFUSERS,
            TEXT_ENCODER: OF_TRANSFORMERS,
            TEXT_ENCODER_2: OF_TRANSFORMERS,
            VAE: OF_DIFFUSERS,
        },
        ("tokenizer", "tokenizer_2"),
    ),
    vae=KL_16,
    config="black-forest-labs/FLUX.1-schnell",
    lent={
        TEXT_ENCODER: ("text_encoders.clip_l.", "text_encoder."),
        TEXT_ENCODER_2: ("text_encoders.t5xxl.", "text_encoder_2."),
        VAE: ("first_stage_model.", "vae."),
    },
    repositories=frozenset(
        f"black-forest-labs/flux.1-{name}" for name in ("schnell", "dev", "krea-dev", "kontext-dev")
    ),
    parts=(
        Part("transformer", 22.17, 11.16),
        Part(TEXT_ENCODER, 0.23, 0.15),
        Part(TEXT_ENCODER_2, 8.87, 4.56),
        Part(VAE, 0.16, 0.16),
    ),
    prompt=PromptLimit(512),
    variants=(
        Variant(
            name="dev",
            usually=("dev",),
            plain=True,
            steps=_STEPS,
            guidance=_guidance(3.5),
            embedded=True,
            takes_negative=False,
            edits=False,
            config="black-forest-labs/FLUX.1-dev",
            draft=DraftPreset(steps=28, scale=HALF),
        ),
        Variant(
            name="schnell",
            words=("schnell",),
            steps=IntRange(min=1, default=4, max=20),
            guidance=FloatRange(min=1.0, default=1.0, max=1.0),
            takes_negative=False,
            distilled=True,
            edits=False,
            tokens=256,
            config="black-forest-labs/FLUX.1-schnell",
            draft=DraftPreset(steps=4, scale=HALF),
        ),
        Variant(
            name="krea",
            words=("krea",),
            steps=_STEPS,
            guidance=_guidance(4.5),
            embedded=True,
            takes_negative=False,
            edits=False,
            config="black-forest-labs/FLUX.1-Krea-dev",
            draft=DraftPreset(steps=28, scale=HALF),
        ),
        Variant(
            name="kontext",
            words=("kontext",),
            steps=_STEPS,
            guidance=_guidance(2.5),
            embedded=True,
            takes_negative=False,
            config="black-forest-labs/FLUX.1-Kontext-dev",
            draft=DraftPreset(steps=28, scale=HALF),
        ),
    ),
    # 113 million parameters in each of 57 blocks for 4,608 tokens, and their attention.
    work=74,
    size=(1024, 1024),
    pixel_step=16,  # the VAE's scale, and 2×2 of its pixels for the transformer
    bucket_step=16,
    shapes=((1, 1), (2, 3), (3, 4), (9, 16), (3, 2), (4, 3), (16, 9), (21, 9)),
    min_side=256,
    max_side=2048,
    # Its authors' models are for up to 2 megapixels.
    max_pixels=2048 * 1024,
    hires_max_pixels=2048 * 2048,
    hires_max_side=3072,
    schedulers=("Euler", "DPM++ 2M", "UniPC"),
    predictions=(FLOW,),
    takes_emphasis=False,
    pictures_max=1,
    adapts_text=True,
    fast_steps=(1, 12),
    fast_guidance=(1.0, 20.0),
)
