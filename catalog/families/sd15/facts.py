"""Stable Diffusion 1 (arXiv 2112.10752), its version 1.5, and the models trained from it."""

from typing import Final

from catalog.families.family import DraftPreset, Family, Part, Variant
from catalog.families.few_steps import DISTILLED
from catalog.families.files import OF_DIFFUSERS, OF_TRANSFORMERS, VAE, pipeline_files
from catalog.families.sd15.recognition import RECOGNITION, SD1_OR_2, SD15_MODEL
from catalog.families.unet import CLIP, FIRST
from catalog.families.vaes import KL_4
from catalog.ranges import FloatRange, IntRange
from catalog.schedulers import AYS, SCHEDULERS

SD15: Final = Family(
    key="sd15",
    place=20,
    name="Stable Diffusion 1.5",
    licence="CreativeML OpenRAIL-M",
    architectures=(SD15_MODEL,),
    # The shapes of an adapter that changes no cross-attention do not tell it from SD 2's.
    adapter_bases=(SD15_MODEL, SD1_OR_2),
    recognition=RECOGNITION,
    text_encoders=(FIRST,),
    files=pipeline_files(
        {
            FIRST: OF_TRANSFORMERS,
            "unet": OF_DIFFUSERS,
            VAE: OF_DIFFUSERS,
        },
        ("tokenizer",),
    ),
    vae=KL_4,
    config="stable-diffusion-v1-5/stable-diffusion-v1-5",
    lent={
        FIRST: ("cond_stage_model.", "text_encoders.clip_l.", "text_encoder."),
        VAE: ("first_stage_model.", "vae."),
    },
    repositories=frozenset(
        (
            "compvis/stable-diffusion-v1-1",
            "compvis/stable-diffusion-v1-2",
            "compvis/stable-diffusion-v1-3",
            "compvis/stable-diffusion-v1-4",
            "dreamlike-art/dreamlike-diffusion-1.0",
            "dreamlike-art/dreamlike-photoreal-2.0",
            "emilianjr/epicrealism",
            "hakurei/waifu-diffusion",
            "lykon/dreamshaper",
            "lykon/dreamshaper-7",
            "lykon/dreamshaper-8",
            "nitrosocke/arcane-diffusion",
            "nitrosocke/ghibli-diffusion",
            "nitrosocke/mo-di-diffusion",
            "prompthero/openjourney",
            "prompthero/openjourney-v4",
            "runwayml/stable-diffusion-v1-5",
            "sg161222/realistic_vision_v5.1_novae",
            "sg161222/realistic_vision_v6.0_b1_novae",
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
        )
    ),
    parts=(
        Part("unet", 1.60, 1.38),
        Part(FIRST, 0.23, 0.15),
        Part(VAE, 0.16, 0.16),
    ),
    prompt=CLIP,
    variants=(
        Variant(
            name="base",
            plain=True,
            steps=IntRange(min=10, default=25, max=100),
            guidance=FloatRange(min=1.0, default=7.0, max=30.0),
            takes_negative=True,
            # The paper's table for it has ten steps, too.
            draft=DraftPreset(
                spacing=AYS, steps=10, schedulers=("DPM++ 2M", "DPM++ 2M SDE", "Euler")
            ),
        ),
        DISTILLED,
    ),
    work=0.8,
    size=(512, 512),
    pixel_step=8,  # the VAE's scale
    bucket_step=64,
    shapes=((1, 1), (2, 3), (3, 4), (9, 16), (3, 2), (4, 3), (16, 9)),
    min_side=256,
    max_side=1024,
    # Beyond about 768², most of its models repeat their subject.
    max_pixels=768 * 1024,
    # Four times 512² per side, or as long a side as SDXL's, with a smaller UNet and the same VAE.
    hires_max_pixels=2048 * 2048,
    hires_max_side=3072,
    schedulers=SCHEDULERS,
    takes_emphasis=True,
    # The last layer, of twelve.
    clip_skip=IntRange(min=1, default=1, max=12),
    takes_reference=True,
    takes_control=True,
    takes_tile=True,
    adapts_text=True,
    fast_steps=(1, 12),
    fast_guidance=(1.0, 4.0),
)
