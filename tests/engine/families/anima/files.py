"""The files that a tiny Anima circulates in, made from its diffusers folder."""

import re
from collections.abc import Mapping

import torch

from tests.engine.families.flux2.files import Tensors, below

_RENAMED = (
    ("patch_embed.proj", "x_embedder.proj.1"),
    ("time_embed.t_embedder", "t_embedder.1"),
    ("time_embed.norm", "t_embedding_norm"),
    ("proj_out", "final_layer.linear"),
    ("norm_out.linear_", "final_layer.adaln_modulation."),
    ("norm1.linear_", "adaln_modulation_self_attn."),
    ("norm2.linear_", "adaln_modulation_cross_attn."),
    ("norm3.linear_", "adaln_modulation_mlp."),
    ("attn1.", "self_attn."),
    ("attn2.", "cross_attn."),
    ("to_out.0", "output_proj"),
    ("ff.net.0.proj", "mlp.layer1"),
    ("ff.net.2", "mlp.layer2"),
    *((f"to_{each}", f"{each}_proj") for each in "qkv"),
    *((f"norm_{each}.", f"{each}_norm.") for each in "qk"),
    ("transformer_blocks.", "blocks."),
)


def authors_name(ours: str) -> str:
    """The authors' name of a tensor of diffusers' transformer."""
    for own, theirs in _RENAMED:
        ours = ours.replace(own, theirs)
    return ours


def authors(
    transformer: Mapping[str, torch.Tensor], conditioner: Mapping[str, torch.Tensor]
) -> Tensors:
    """Transformer and text conditioner as their authors have them in one file."""
    found = {authors_name(name): tensor for name, tensor in transformer.items()}
    return {**found, **below("llm_adapter.", conditioner)}


_LAYERS = {"norm1": 0, "conv1": 2, "norm2": 3, "conv2": 6}
_OF_WAN = (
    (r"^(post_)?quant_conv", lambda m: f"conv{2 if m[1] else 1}"),
    (r"(en|de)coder\.conv_in", r"\1coder.conv1"),
    (r"(en|de)coder\.norm_out", r"\1coder.head.0"),
    (r"(en|de)coder\.conv_out", r"\1coder.head.2"),
    (r"mid_block\.resnets\.(\d)", lambda m: f"middle.{2 * int(m[1])}"),
    (r"mid_block\.attentions\.0", "middle.1"),
    (r"encoder\.down_blocks", "encoder.downsamples"),
    (r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"upsamples.{4 * int(m[1]) + int(m[2])}"),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"upsamples.{4 * int(m[1]) + 3}"),
    (r"\.(norm1|conv1|norm2|conv2)\.", lambda m: f".residual.{_LAYERS[m[1]]}."),
    (r"conv_shortcut", "shortcut"),
)


def authors_vae(vae: Mapping[str, torch.Tensor]) -> Tensors:
    """The VAE in the names of Wan's authors, which Qwen-Image's file has in ComfyUI."""
    found: Tensors = {}
    for name, tensor in vae.items():
        own = name
        # What stands directly in a coder is no layer of a block.
        for pattern, new in _OF_WAN if "resnets" in name or "down_blocks" in name else _OF_WAN[:9]:
            own = re.sub(pattern, new, own)
        found[own] = tensor
    return found
