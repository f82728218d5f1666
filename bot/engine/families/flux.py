"""What the transformers of FLUX.1 and Chroma have in common: their blocks' names. Imports torch.

Black Forest Labs' names are in their files and in many adapters. Their modules and diffusers' are
the same, but that queries, keys and values are one module there, in the blocks of one stream with
the first half of the feed-forward layer (black-forest-labs/flux src/flux/model.py;
huggingface/diffusers src/diffusers/loaders/single_file_utils.py,
`convert_flux_transformer_checkpoint_to_diffusers`, `convert_chroma_transformer_checkpoint_…`).
"""

from typing import Final

from bot.engine.patches.spelling import Originals, Share

_TWO: Final = "transformer_blocks.{}."
_ONE: Final = "single_transformer_blocks.{}."
_TIMES: Final = 4
"""How many times as wide as the blocks their feed-forward layers are."""

IMAGE: Final = tuple(f"{_TWO}attn.to_{each}" for each in "qkv")
TEXT: Final = tuple(f"{_TWO}attn.add_{each}_proj" for each in "qkv")
SINGLE: Final = tuple(f"{_ONE}attn.to_{each}" for each in "qkv")
"""Queries, keys and values."""

ORIGINALS: Final[Originals] = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "final_layer.linear": "proj_out",
    "double_blocks.{}.img_attn.qkv": IMAGE,
    "double_blocks.{}.img_attn.norm.query_norm": f"{_TWO}attn.norm_q",
    "double_blocks.{}.img_attn.norm.key_norm": f"{_TWO}attn.norm_k",
    "double_blocks.{}.img_attn.proj": f"{_TWO}attn.to_out.0",
    "double_blocks.{}.img_mlp.0": f"{_TWO}ff.net.0.proj",
    "double_blocks.{}.img_mlp.2": f"{_TWO}ff.net.2",
    "double_blocks.{}.txt_attn.qkv": TEXT,
    "double_blocks.{}.txt_attn.norm.query_norm": f"{_TWO}attn.norm_added_q",
    "double_blocks.{}.txt_attn.norm.key_norm": f"{_TWO}attn.norm_added_k",
    "double_blocks.{}.txt_attn.proj": f"{_TWO}attn.to_add_out",
    "double_blocks.{}.txt_mlp.0": f"{_TWO}ff_context.net.0.proj",
    "double_blocks.{}.txt_mlp.2": f"{_TWO}ff_context.net.2",
    "single_blocks.{}.linear1": (*SINGLE, Share(f"{_ONE}proj_mlp", high=_TIMES)),
    "single_blocks.{}.linear2": f"{_ONE}proj_out",
    "single_blocks.{}.norm.query_norm": f"{_ONE}attn.norm_q",
    "single_blocks.{}.norm.key_norm": f"{_ONE}attn.norm_k",
}
BLOCKS: Final = r"(?:single_)?transformer_blocks\.\d+"
"""See `Family.blocks`."""
