"""Black Forest Labs' own names of the transformer's modules, in their files and most adapters'.

Their modules and diffusers' are the same but for two things: queries, keys and values of the
blocks of two streams are one module there, and the two halves of the last modulation are the other
way around (black-forest-labs/flux2 src/flux2/model.py;
huggingface/diffusers src/diffusers/loaders/single_file_utils.py,
`convert_flux2_transformer_checkpoint_to_diffusers`).
"""

from typing import Final

from bot.engine.patches.spelling import Originals, Share

_TWO: Final = "transformer_blocks.{}."
_ONE: Final = "single_transformer_blocks.{}.attn."

ORIGINALS: Final[Originals] = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_guidance_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_guidance_embed.timestep_embedder.linear_2",
    "double_stream_modulation_img.lin": "double_stream_modulation_img.linear",
    "double_stream_modulation_txt.lin": "double_stream_modulation_txt.linear",
    "single_stream_modulation.lin": "single_stream_modulation.linear",
    "final_layer.linear": "proj_out",
    # Shift and scale there, scale and shift in diffusers.
    "final_layer.adaLN_modulation.1": (
        Share("norm_out.linear", 1, 2),
        Share("norm_out.linear", 0, 2),
    ),
    "double_blocks.{}.img_attn.qkv": tuple(f"{_TWO}attn.to_{each}" for each in "qkv"),
    "double_blocks.{}.txt_attn.qkv": tuple(f"{_TWO}attn.add_{each}_proj" for each in "qkv"),
    "double_blocks.{}.img_attn.norm.query_norm": f"{_TWO}attn.norm_q",
    "double_blocks.{}.img_attn.norm.key_norm": f"{_TWO}attn.norm_k",
    "double_blocks.{}.img_attn.proj": f"{_TWO}attn.to_out.0",
    "double_blocks.{}.img_mlp.0": f"{_TWO}ff.linear_in",
    "double_blocks.{}.img_mlp.2": f"{_TWO}ff.linear_out",
    "double_blocks.{}.txt_attn.norm.query_norm": f"{_TWO}attn.norm_added_q",
    "double_blocks.{}.txt_attn.norm.key_norm": f"{_TWO}attn.norm_added_k",
    "double_blocks.{}.txt_attn.proj": f"{_TWO}attn.to_add_out",
    "double_blocks.{}.txt_mlp.0": f"{_TWO}ff_context.linear_in",
    "double_blocks.{}.txt_mlp.2": f"{_TWO}ff_context.linear_out",
    "single_blocks.{}.linear1": f"{_ONE}to_qkv_mlp_proj",
    "single_blocks.{}.linear2": f"{_ONE}to_out",
    "single_blocks.{}.norm.query_norm": f"{_ONE}norm_q",
    "single_blocks.{}.norm.key_norm": f"{_ONE}norm_k",
}
