"""Stable Diffusion XL (arXiv 2307.01952) and the models trained from it."""

from typing import Final

from catalog.families.family import DraftPreset, Family, Part, Variant
from catalog.families.few_steps import DISTILLED
from catalog.families.files import OF_DIFFUSERS, OF_TRANSFORMERS, VAE, pipeline_files
from catalog.families.sdxl.recognition import RECOGNITION, SDXL_MODEL, SDXL_OFFSPRING
from catalog.families.unet import CLIP, FIRST, SECOND
from catalog.families.vaes import KL_4
from catalog.ranges import FloatRange, IntRange
from catalog.schedulers import AYS, SCHEDULERS

SDXL: Final = Family(
    key="sdxl",
    place=10,
    name="Stable Diffusion XL",
    licence="CreativeML Open RAIL++-M",
    architectures=(SDXL_MODEL,),
    adapter_bases=(SDXL_MODEL, *SDXL_OFFSPRING),
    recognition=RECOGNITION,
    text_encoders=(FIRST, SECOND),
    files=pipeline_files(
        {
            FIRST: OF_TRANSFORMERS,
            SECOND: OF_TRANSFORMERS,
            "unet": OF_DIFFUSERS,
            VAE: OF_DIFFUSERS,
        },
        ("tokenizer", "tokenizer_2"),
    ),
    vae=KL_4,
    config="stabilityai/stable-diffusion-xl-base-1.0",
    lent={
        FIRST: ("conditioner.embedders.0.", "text_encoders.clip_l.", "text_encoder."),
        SECOND: ("conditioner.embedders.1.", "text_encoders.clip_g.", "text_encoder_2."),
        VAE: ("first_stage_model.", "vae."),
    },
    parts=(
        Part("unet", 4.78, 2.75),
        Part(FIRST, 0.23, 0.15),
        Part(SECOND, 1.29, 0.71),
        Part(VAE, 0.16, 0.16),
    ),
    prompt=CLIP,
    variants=(
        Variant(
            name="base",
            plain=True,
            steps=IntRange(min=10, default=30, max=100),
            guidance=FloatRange(min=1.0, default=7.5, max=30.0),
            takes_negative=True,
            # The paper's table for SDXL has ten steps. Karras schedulers compute their own
            # timesteps.
            draft=DraftPreset(
                spacing=AYS, steps=10, schedulers=("DPM++ 2M", "DPM++ 2M SDE", "Euler")
            ),
        ),
        DISTILLED,
    ),
    work=6.8,
    size=(1024, 1024),
    pixel_step=8,  # the VAE's scale
    bucket_step=64,  # the paper's appendix I
    shapes=(
        (1, 1),
        *((13, 19), (2, 3), (3, 4), (9, 16)),  # 13:19 is its own 832×1216
        *((19, 13), (3, 2), (4, 3), (16, 9), (21, 9)),
    ),
    min_side=512,
    max_side=1536,
    max_pixels=1_600_000,
    # Twice 1024² and the longest side, which fits on an 11 GB card.
    hires_max_pixels=2048 * 2048,
    hires_max_side=3072,
    schedulers=SCHEDULERS,
    takes_emphasis=True,
    # The penultimate layer (the paper's section 2.1), of the smaller encoder's twelve.
    clip_skip=IntRange(min=2, default=2, max=12),
    takes_reference=True,
    takes_control=True,
    takes_tile=True,
    adapts_text=True,
    fast_steps=(1, 12),
    fast_guidance=(1.0, 4.0),
)
