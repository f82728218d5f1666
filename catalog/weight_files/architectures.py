"""Denoisers that are no UNet, each by tensors that only it has. A family's are in its folder.

The names are those of the authors' own files, as ComfyUI reads them, and of diffusers.
"""

from typing import Final

from catalog.families import FAMILIES
from catalog.families.flux import FLUX, TASKS, flux2
from catalog.families.recognition import Shapes, Transformer

PREFIXES: Final = (
    *("model.diffusion_model.", "diffusion_model.", "", "transformer.", "model.model."),
    *("net.", "model.", "unet.", "module."),
)
"""What programs put before the names of a denoiser."""

_FAMILIES: Final = tuple(
    recognition
    for family in FAMILIES.values()
    if isinstance(recognition := family.recognition, Transformer)
)
_TRANSFORMERS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Chroma1-Radiance", ("nerf_blocks.0.norm.scale",)),
    ("Chroma1-Radiance", ("nerf_blocks.0.norm.weight",)),
    ("Chroma-like", ("distilled_guidance_layer.in_proj.weight",)),
    ("Chroma-like", ("distilled_guidance_layer.norms.0.scale",)),
    ("Chroma-like", ("distilled_guidance_layer.0.norms.0.scale",)),
    ("HunyuanVideo", ("txt_in.individual_token_refiner.blocks.0.norm1.weight",)),
    ("HunyuanVideo", ("context_embedder.token_refiner.refiner_blocks.0.norm1.weight",)),
    ("Hunyuan3D", ("latent_in.weight", "cond_in.weight")),
    (FLUX, ("double_blocks.0.img_attn.qkv.weight", "img_in.weight")),
    (FLUX, ("single_transformer_blocks.0.attn.norm_k.weight", "x_embedder.weight")),
    ("SD 3", ("joint_blocks.0.context_block.attn.qkv.weight",)),
    ("SD 3", ("transformer_blocks.0.attn.add_q_proj.weight", "pos_embed.proj.weight")),
    ("AuraFlow", ("double_layers.0.attn.w1q.weight",)),
    ("AuraFlow", ("joint_transformer_blocks.0.attn.to_q.weight", "register_tokens")),
    ("Stable Cascade", ("clf.1.weight",)),
    ("Stable Cascade", ("clip_txt_mapper.weight",)),
    ("Stable Cascade", ("clip_txt_pooled_mapper.weight",)),
    ("Hunyuan-DiT", ("mlp_t5.0.weight",)),
    ("Hunyuan-DiT", ("text_embedder.linear_1.weight", "blocks.0.attn1.to_q.weight")),
    ("PixArt", ("t_block.1.weight",)),
    ("PixArt", ("adaln_single.emb.timestep_embedder.linear_1.bias", "pos_embed.proj.bias")),
    ("Sana", ("attention_y_norm.weight",)),
    ("Sana", ("caption_norm.weight", "scale_shift_table")),
    ("LTX-Video", ("adaln_single.emb.timestep_embedder.linear_1.bias",)),
    ("LTX-Video", ("time_embed.emb.timestep_embedder.linear_1.bias", "scale_shift_table")),
    ("OmniGen 2", ("ref_image_refiner.0.attn.to_q.weight",)),
    ("Lumina 2", ("time_caption_embed.timestep_embedder.linear_1.bias",)),
    ("Lumina 2", ("cap_embedder.1.weight", "noise_refiner.0.attention.k_norm.weight")),
    ("Lumina", ("cap_embedder.1.weight",)),
    ("Wan", ("head.modulation",)),
    ("Wan", ("condition_embedder.time_embedder.linear_1.weight", "patch_embedding.weight")),
    ("HiDream", ("caption_projection.0.linear.weight",)),
    ("HiDream", ("t_embedder1.mlp.0.weight", "x_embedder.proj1.weight")),
    ("Qwen-Image", ("txt_in.text_norm.weight",)),
    ("Qwen-Image", ("txt_norm.weight",)),
    ("Cosmos", ("blocks.0.mlp.layer1.weight",)),
    ("Cosmos", ("blocks.block0.blocks.0.block.attn.to_q.0.weight",)),
    ("Cosmos", ("time_embed.t_embedder.linear_1.weight", "patch_embed.proj.weight")),
    ("Ideogram", ("embed_image_indicator.weight",)),
    ("Kandinsky 5", ("visual_transformer_blocks.0.cross_attention.key_norm.weight",)),
    ("CogVideoX", ("blocks.0.norm1.linear.weight",)),
    ("CogVideoX", ("patch_embed.text_proj.weight", "norm_final.weight")),
    ("CogView 4", ("patch_embed.text_proj.weight",)),
    ("Mochi", ("t5_yproj.weight",)),
    ("Stable Audio", ("transformer.rotary_pos_emb.inv_freq",)),
    ("ACE-Step", ("genre_embedder.weight",)),
)
"""Architecture and the tensors that prove it; a more particular one comes first."""

_INPUTS: Final = ("img_in.weight", "x_embedder.weight")
INSTEAD_OF_TASKS: Final = {
    f"{FLUX} ({task})": f"a model of {FLUX} for any task {instead}"
    for task, instead in {
        "Fill": "also repaints a part of an image, and extends one",
        "Control": "can be used, and a ControlNet of another family to follow an image",
    }.items()
}
"""What is for another task than a family's models → what can be used instead."""


def transformer(shapes: Shapes) -> str:
    """The architecture of the diffusion transformer in a file with these tensors; "" if none."""
    for prefix in PREFIXES:
        for family in _FAMILIES:
            if name := family.model(prefix, shapes):
                return name
        if name := flux2(prefix, shapes):
            return name
        for name, needed in _TRANSFORMERS:
            if all(prefix + tensor in shapes for tensor in needed):
                return _refined(name, prefix, shapes)
    return ""


def _refined(name: str, prefix: str, shapes: Shapes) -> str:
    if name != FLUX:
        return name
    inputs = next((shapes[prefix + each] for each in _INPUTS if prefix + each in shapes), ())
    task = TASKS.get(inputs[-1] if inputs else 0)
    return f"{FLUX} ({task})" if task else f"{FLUX}-like"
