"""The files that a tiny FLUX.2 klein circulates in, made from its diffusers folder."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]

OUTER = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "double_stream_modulation_img.linear": "double_stream_modulation_img.lin",
    "double_stream_modulation_txt.linear": "double_stream_modulation_txt.lin",
    "single_stream_modulation.linear": "single_stream_modulation.lin",
    "proj_out": "final_layer.linear",
}
DOUBLE = {
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.to_out.0": "img_attn.proj",
    "ff.linear_in": "img_mlp.0",
    "ff.linear_out": "img_mlp.2",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
    "attn.to_add_out": "txt_attn.proj",
    "ff_context.linear_in": "txt_mlp.0",
    "ff_context.linear_out": "txt_mlp.2",
}
SINGLE = {
    "attn.to_qkv_mlp_proj": "linear1",
    "attn.to_out": "linear2",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
}
FUSED = {
    "img_attn.qkv": ("to_q", "to_k", "to_v"),
    "txt_attn.qkv": ("add_q_proj", "add_k_proj", "add_v_proj"),
}


def stored(folder: Path, network: str) -> Tensors:
    (file,) = (folder / network).glob("*.safetensors")
    tensors: Tensors = load_file(file)
    return tensors


def authors(transformer: Mapping[str, torch.Tensor]) -> Tensors:
    """A transformer of diffusers in the names of Black Forest Labs' own files."""
    found: Tensors = {}
    for name, tensor in transformer.items():
        path = name.removesuffix(".weight")
        if path in OUTER:
            found[f"{OUTER[path]}.weight"] = tensor
        elif path == "norm_out.linear":
            scale, shift = tensor.chunk(2)
            found["final_layer.adaLN_modulation.1.weight"] = torch.cat([shift, scale])
        elif match := re.fullmatch(r"(single_)?transformer_blocks\.(\d+)\.(.+)", path):
            single, block, rest = match.groups()
            if (inner := (SINGLE if single else DOUBLE).get(rest)) is not None:
                side = "single_blocks" if single else "double_blocks"
                leaf = "scale" if "_norm" in inner else "weight"
                found[f"{side}.{block}.{inner}.{leaf}"] = tensor
    for number in range(2):
        for inner, parts in FUSED.items():
            cut = [transformer[f"transformer_blocks.{number}.attn.{p}.weight"] for p in parts]
            found[f"double_blocks.{number}.{inner}.weight"] = torch.cat(cut)
    return found


_OF_LDM = (
    (r"(en|de)coder\.conv_norm_out", r"\1coder.norm_out"),
    (r"^(post_)?quant_conv", lambda m: f"{'de' if m[1] else 'en'}coder.{m[0]}"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
    (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
    (r"mid_block\.attentions\.0\.to_", "mid.attn_1."),
    (r"down_blocks\.(\d)\.resnets", r"down.\1.block"),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"up_blocks\.(\d)\.resnets", lambda m: f"up.{3 - int(m[1])}.block"),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample"),
    (r"conv_shortcut", "nin_shortcut"),
)


def authors_vae(vae: Mapping[str, torch.Tensor]) -> Tensors:
    """The VAE in the names of Black Forest Labs' own file."""
    found: Tensors = {}
    for name, tensor in vae.items():
        own = name
        for pattern, new in _OF_LDM:
            own = re.sub(pattern, new, own)
        attends = ".mid.attn_1." in own and tensor.ndim == 2
        found[own] = tensor[:, :, None, None] if attends else tensor
    return found


def scaled(tensors: Mapping[str, torch.Tensor], end: str) -> tuple[Tensors, Tensors]:
    """Matrices in 8 bits with scales, as they are stored, and what they say.

    end: of the scales' names, after the module's.
    """
    said: Tensors = {}
    kept: Tensors = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or not name.endswith(".weight"):
            said[name] = kept[name] = tensor
            continue
        scale = tensor.abs().max() / 448
        eight = (tensor / scale).to(torch.float8_e4m3fn)
        said[name], said[name.removesuffix(".weight") + end] = eight, scale
        kept[name] = eight.float() * scale
    return said, kept


def write(path: Path, tensors: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}
