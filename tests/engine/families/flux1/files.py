"""The files that a tiny FLUX.1 circulates in, made from its diffusers folder."""

import re
from collections.abc import Iterator, Mapping

import torch

from tests.engine.families.flux2.files import Tensors

OUTER = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "proj_out": "final_layer.linear",
}
DOUBLE = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.to_out.0": "img_attn.proj",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
    "attn.to_add_out": "txt_attn.proj",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
}
SINGLE = {
    "norm.linear": "modulation.lin",
    "proj_out": "linear2",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
}
FUSED = {
    "double_blocks.{}.img_attn.qkv": tuple(f"transformer_blocks.{{}}.attn.to_{x}" for x in "qkv"),
    "double_blocks.{}.txt_attn.qkv": tuple(
        f"transformer_blocks.{{}}.attn.add_{x}_proj" for x in "qkv"
    ),
    "single_blocks.{}.linear1": (
        *(f"single_transformer_blocks.{{}}.attn.to_{x}" for x in "qkv"),
        "single_transformer_blocks.{}.proj_mlp",
    ),
}
SWAPPED = ("norm_out.linear", "final_layer.adaLN_modulation.1")


def renamed(path: str) -> str:
    """What the authors call a module that they have too; "" if that is fused, or swapped."""
    if path in OUTER:
        return OUTER[path]
    if match := re.fullmatch(r"(single_)?transformer_blocks\.(\d+)\.(.+)", path):
        single, block, rest = match.groups()
        side = "single_blocks" if single else "double_blocks"
        inner = (SINGLE if single else DOUBLE).get(rest)
        return f"{side}.{block}.{inner}" if inner else ""
    return ""


def fused(paths: Mapping[str, object]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The authors' matrices that modules in `paths` make up, with these in their order."""
    for name, parts in FUSED.items():
        number = 0
        while parts[0].format(number) in paths:
            yield name.format(number), tuple(part.format(number) for part in parts)
            number += 1


def authors(transformer: Mapping[str, torch.Tensor]) -> Tensors:
    """A transformer of diffusers in the names of Black Forest Labs' own files."""
    found: Tensors = {}
    paths = dict.fromkeys(name.rpartition(".")[0] for name in transformer)
    for name, tensor in transformer.items():
        path, _, leaf = name.rpartition(".")
        if own := renamed(path):
            found[f"{own}.{'scale' if '_norm' in own else leaf}"] = tensor
        elif path == SWAPPED[0]:
            scale, shift = tensor.chunk(2)
            found[f"{SWAPPED[1]}.{leaf}"] = torch.cat([shift, scale])
    for own, parts in fused(paths):
        for leaf in ("weight", "bias"):
            found[f"{own}.{leaf}"] = torch.cat([transformer[f"{part}.{leaf}"] for part in parts])
    return found


def of_llama(t5: Mapping[str, torch.Tensor]) -> Tensors:
    """T5 in the names of llama.cpp."""
    table = (
        ("encoder.block.", "enc.blk."),
        ("encoder.final_layer_norm.", "enc.output_norm."),
        ("shared.", "token_embd."),
        (".layer.0.layer_norm.", ".attn_norm."),
        (".layer.1.layer_norm.", ".ffn_norm."),
        (".layer.0.SelfAttention.relative_attention_bias.", ".attn_rel_b."),
        *((f".layer.0.SelfAttention.{x}.", f".attn_{x}.") for x in "qkvo"),
        (".layer.1.DenseReluDense.wi_0.", ".ffn_gate."),
        (".layer.1.DenseReluDense.wi_1.", ".ffn_up."),
        (".layer.1.DenseReluDense.wo.", ".ffn_down."),
    )
    found: Tensors = {}
    for name, tensor in t5.items():
        own = name
        for ours, theirs in table:
            own = own.replace(ours, theirs)
        found[own] = tensor
    return found
