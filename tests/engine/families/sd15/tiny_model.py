"""A tiny untrained network of the SD 1.5 architecture, built on demand: it generates a texture.

It has as many blocks as SD 1.5, with the same names.
"""

import json
from pathlib import Path
from typing import Any

from diffusers import PNDMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from tests.engine.families.sdxl import tiny_model as sdxl
from tools.demo.words import END, START, write_tokenizer

SEED = 20_261_130
WIDTH = 32
"""Of the text encoder."""


def build(folder: Path, seed: int = SEED) -> None:
    """Write the model as a diffusers folder, as that of SDXL does."""
    folder.mkdir(parents=True)
    vocabulary, merges = sdxl.vocabulary_and_merges()
    write_tokenizer(folder / "tokenizer", END, vocabulary, merges)
    text = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        projection_dim=WIDTH,
        hidden_act="quick_gelu",
        bos_token_id=vocabulary[START],
        eos_token_id=vocabulary[END],
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 48, 64, 64),
        layers_per_block=2,
        down_block_types=(*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
        attention_head_dim=4,  # the number of heads, as in SD 1.5 itself
        norm_num_groups=16,
        cross_attention_dim=WIDTH,
    )
    parts: dict[str, Any] = {
        "text_encoder": CLIPTextModel(text),
        "unet": unet,
        "vae": sdxl.autoencoder(scaling_factor=0.18215),
    }
    sdxl.save(folder, parts, seed)
    PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    ).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "StableDiffusionPipeline",
        # Published ones have these two, which this one has no folders for.
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
