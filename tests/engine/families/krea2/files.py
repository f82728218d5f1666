"""The files that a tiny Krea 2 circulates in, made from its diffusers folder."""

import re
from collections.abc import Mapping

import torch

from tests.engine.families.flux2.files import Tensors

_RENAMED = (
    (r"^img_in$", "first"),
    (r"^time_embed\.linear_1", "tmlp.0"),
    (r"^time_embed\.linear_2", "tmlp.2"),
    (r"^time_mod_proj", "tproj.1"),
    (r"^txt_in\.norm", "txtmlp.0"),
    (r"^txt_in\.linear_1", "txtmlp.1"),
    (r"^txt_in\.linear_2", "txtmlp.3"),
    (r"^text_fusion", "txtfusion"),
    (r"^transformer_blocks", "blocks"),
    (r"^final_layer\.(norm|linear)", r"last.\1"),
    (r"^final_layer\.scale_shift_table", "last.modulation.lin"),
    (r"\.scale_shift_table", ".mod.lin"),
    (r"\.attn\.to_([qkv])$", r".attn.w\1"),
    (r"\.attn\.to_out\.0$", ".attn.wo"),
    (r"\.attn\.to_gate$", ".attn.gate"),
    (r"\.attn\.norm_([qk])$", r".attn.qknorm.\1norm"),
    (r"\.ff\.", ".mlp."),
    (r"\.norm1$", ".prenorm"),
    (r"\.norm2$", ".postnorm"),
)
_NORMS = ("prenorm", "postnorm", "qnorm", "knorm", "txtmlp.0", "last.norm")


def authors_module(ours: str) -> str:
    """The authors' name of a module of diffusers' transformer, or of what modulates one."""
    for own, theirs in _RENAMED:
        ours = re.sub(own, theirs, ours)
    return ours


def authors(transformer: Mapping[str, torch.Tensor]) -> Tensors:
    """A transformer of diffusers in the names of the authors' own files."""
    found: Tensors = {}
    for name, tensor in transformer.items():
        if name.endswith("scale_shift_table"):
            own = authors_module(name)
            found[own] = tensor.flatten() if own.endswith(".mod.lin") else tensor
        else:
            module, _, leaf = name.rpartition(".")
            own = authors_module(module)
            found[f"{own}.{'scale' if own.endswith(_NORMS) else leaf}"] = tensor
    return found
