"""Black Forest Labs' own names of the transformer's modules, in their files and most adapters'.

Their modules and diffusers' are the same but for two things: queries, keys and values of the
blocks of two streams are one module there, and the two halves of the last modulation are the other
way around (black-forest-labs/flux2 src/flux2/model.py;
huggingface/diffusers src/diffusers/loaders/single_file_utils.py,
`convert_flux2_transformer_checkpoint_to_diffusers`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of an original module, which are one module in diffusers.

    path: of that module. shares: which of `of` equal shares of the rows it has, in its order.
    """

    path: str
    shares: tuple[int, ...] = (0,)
    of: int = 1

    def cut(self, tensor: torch.Tensor) -> torch.Tensor:
        """Its rows of a tensor of the original module; a view of it where they are in order."""
        if self.of == 1:
            return tensor
        parts = tensor.chunk(self.of)
        if len(self.shares) == 1:
            return parts[self.shares[0]]
        return torch.cat([parts[share] for share in self.shares])

    def rows(self, height: int) -> tuple[range, ...]:
        """Its rows of the `height` that the original module has."""
        share = height // self.of
        return tuple(range(begin * share, (begin + 1) * share) for begin in self.shares)


_OUTER: Final[Mapping[str, Piece]] = {
    "img_in": Piece("x_embedder"),
    "txt_in": Piece("context_embedder"),
    "time_in.in_layer": Piece("time_guidance_embed.timestep_embedder.linear_1"),
    "time_in.out_layer": Piece("time_guidance_embed.timestep_embedder.linear_2"),
    "double_stream_modulation_img.lin": Piece("double_stream_modulation_img.linear"),
    "double_stream_modulation_txt.lin": Piece("double_stream_modulation_txt.linear"),
    "single_stream_modulation.lin": Piece("single_stream_modulation.linear"),
    "final_layer.linear": Piece("proj_out"),
    # Shift and scale there, scale and shift in diffusers.
    "final_layer.adaLN_modulation.1": Piece("norm_out.linear", (1, 0), 2),
}
_DOUBLE: Final = {
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "img_attn.proj": "attn.to_out.0",
    "img_mlp.0": "ff.linear_in",
    "img_mlp.2": "ff.linear_out",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
    "txt_attn.proj": "attn.to_add_out",
    "txt_mlp.0": "ff_context.linear_in",
    "txt_mlp.2": "ff_context.linear_out",
}
_FUSED: Final = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_SINGLE: Final = {
    "linear1": "attn.to_qkv_mlp_proj",
    "linear2": "attn.to_out",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
}


def pieces(transformer: Any) -> dict[str, tuple[Piece, ...]]:
    """Every original module of `transformer`, by name → the modules of diffusers that it holds.

    transformer: a Flux2Transformer2DModel, on any device; only the number of its blocks is read.
    """
    double, single = (
        len(blocks)
        for blocks in (transformer.transformer_blocks, transformer.single_transformer_blocks)
    )
    return {
        **{name: (piece,) for name, piece in _OUTER.items()},
        **dict(_double_blocks(double)),
        **{
            f"single_blocks.{block}.{name}": (Piece(f"single_transformer_blocks.{block}.{path}"),)
            for block in range(single)
            for name, path in _SINGLE.items()
        },
    }


def _double_blocks(count: int) -> Iterator[tuple[str, tuple[Piece, ...]]]:
    for block in range(count):
        below = f"transformer_blocks.{block}."
        for name, path in _DOUBLE.items():
            yield f"double_blocks.{block}.{name}", (Piece(below + path),)
        for name, paths in _FUSED.items():
            fused = (Piece(below + path, (n,), len(paths)) for n, path in enumerate(paths))
            yield f"double_blocks.{block}.{name}", tuple(fused)
