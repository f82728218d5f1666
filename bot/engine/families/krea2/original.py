"""The authors' names of the transformer's modules, in their files and most adapters'.

Each module is one of diffusers', too. What modulates the blocks is no module there, and of each
block it is one row where diffusers has six (Comfy-Org/ComfyUI comfy/ldm/krea2/model.py;
huggingface/diffusers src/diffusers/loaders/single_file_utils.py,
`convert_krea2_transformer_checkpoint_to_diffusers`).
"""

import re
from collections.abc import Mapping
from typing import Final

import torch

from bot.engine.families import renaming
from bot.engine.patches.spelling import Originals

_IN_BLOCK: Final = {
    "prenorm": "norm1",
    "postnorm": "norm2",
    "attn.wq": "attn.to_q",
    "attn.wk": "attn.to_k",
    "attn.wv": "attn.to_v",
    "attn.wo": "attn.to_out.0",
    "attn.gate": "attn.to_gate",
    "attn.qknorm.qnorm": "attn.norm_q",
    "attn.qknorm.knorm": "attn.norm_k",
    "mlp.gate": "ff.gate",
    "mlp.up": "ff.up",
    "mlp.down": "ff.down",
}
_BLOCKS: Final = {
    "blocks.{}.": "transformer_blocks.{}.",
    "txtfusion.layerwise_blocks.{}.": "text_fusion.layerwise_blocks.{}.",
    "txtfusion.refiner_blocks.{}.": "text_fusion.refiner_blocks.{}.",
}

ORIGINALS: Final[Originals] = {
    "first": "img_in",
    "tmlp.0": "time_embed.linear_1",
    "tmlp.2": "time_embed.linear_2",
    "tproj.1": "time_mod_proj",
    "txtmlp.0": "txt_in.norm",
    "txtmlp.1": "txt_in.linear_1",
    "txtmlp.3": "txt_in.linear_2",
    "txtfusion.projector": "text_fusion.projector",
    "last.norm": "final_layer.norm",
    "last.linear": "final_layer.linear",
    **{
        f"{theirs}{name}": f"{ours}{own}"
        for theirs, ours in _BLOCKS.items()
        for name, own in _IN_BLOCK.items()
    },
}

_NORMS: Final = ("norm", "norm1", "norm2", "norm_q", "norm_k")
IN_ADAPTERS: Final[Originals] = {
    **ORIGINALS,
    **{
        f"{theirs}.scale": ours
        for theirs, ours in ORIGINALS.items()
        if isinstance(ours, str) and ours.rpartition(".")[2] in _NORMS
    },
}
"""The same with the names that norms have in files of differences between two checkpoints: their
weight is no `weight` there, so its name is left (filipstrand/mflux, `Krea2LoRAMapping`)."""

_TABLES: Final = (
    (re.compile(r"blocks\.(\d+)\.mod\.lin"), "transformer_blocks.{}.scale_shift_table", 6),
    (re.compile(r"last\.modulation\.lin"), "final_layer.scale_shift_table", 2),
)
"""Names of what modulates, in the authors' files and in diffusers, and its rows there."""


def renamed(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`stored` by the names and in the shapes of diffusers; names that are not the authors' stay.

    Raises RuntimeError for a modulation that has not as many rows.
    """
    found: dict[str, torch.Tensor] = {}
    for name, tensor in renaming.renamed(ORIGINALS, stored).items():
        for pattern, ours, rows in _TABLES:
            if match := pattern.fullmatch(name):
                found[ours.format(*match.groups())] = tensor.reshape(rows, -1)
                break
        else:
            found[name] = tensor
    return found
