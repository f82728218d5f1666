"""The files that a tiny Z-Image circulates in, made from its diffusers folder."""

from collections.abc import Mapping

import torch

from tests.engine.families.flux2.files import Tensors

_RENAMED = (
    ("all_x_embedder.2-1.", "x_embedder."),
    ("all_final_layer.2-1.", "final_layer."),
    (".attention.to_out.0.", ".attention.out."),
    (".attention.norm_q.", ".attention.q_norm."),
    (".attention.norm_k.", ".attention.k_norm."),
)
PARTS = tuple(f".attention.to_{each}." for each in "qkv")


def authors(transformer: Mapping[str, torch.Tensor]) -> Tensors:
    """A transformer of diffusers in the names of the authors' own files."""
    found: Tensors = {}
    for name, tensor in transformer.items():
        own = name
        for ours, theirs in _RENAMED:
            own = own.replace(ours, theirs)
        if PARTS[0] in name:
            cut = [transformer[name.replace(PARTS[0], part)] for part in PARTS]
            found[name.replace(PARTS[0], ".attention.qkv.")] = torch.cat(cut)
        elif not any(part in name for part in PARTS):
            found[own] = tensor
    return found
