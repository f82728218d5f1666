"""The authors' names of the denoiser's modules, in their files and many adapters'.

Each module is one of diffusers', too (Comfy-Org/ComfyUI comfy/ldm/cosmos/predict2.py and
comfy/ldm/anima/model.py; huggingface/diffusers src/diffusers/loaders/single_file_utils.py,
`convert_cosmos_transformer_checkpoint_to_diffusers`).
"""

from typing import Final

from bot.engine.patches.spelling import Originals

CONDITIONER: Final = "llm_adapter."
"""What the names of the text conditioner's modules begin with, which are diffusers' behind it."""

_BLOCK: Final = "transformer_blocks.{}."
_PROJECTIONS: Final = {
    **{f"{each}_proj": f"to_{each}" for each in "qkv"},
    **{f"{each}_norm": f"norm_{each}" for each in "qk"},
    "output_proj": "to_out.0",
}

ORIGINALS: Final[Originals] = {
    "x_embedder.proj.1": "patch_embed.proj",
    "t_embedder.1.linear_1": "time_embed.t_embedder.linear_1",
    "t_embedder.1.linear_2": "time_embed.t_embedder.linear_2",
    "t_embedding_norm": "time_embed.norm",
    "final_layer.linear": "proj_out",
    "final_layer.adaln_modulation.1": "norm_out.linear_1",
    "final_layer.adaln_modulation.2": "norm_out.linear_2",
    **{
        f"blocks.{{}}.adaln_modulation_{layer}.{place}": f"{_BLOCK}norm{number}.linear_{place}"
        for number, layer in enumerate(("self_attn", "cross_attn", "mlp"), 1)
        for place in (1, 2)
    },
    **{
        f"blocks.{{}}.{layer}.{theirs}": f"{_BLOCK}attn{number}.{ours}"
        for number, layer in enumerate(("self_attn", "cross_attn"), 1)
        for theirs, ours in _PROJECTIONS.items()
    },
    "blocks.{}.mlp.layer1": f"{_BLOCK}ff.net.0.proj",
    "blocks.{}.mlp.layer2": f"{_BLOCK}ff.net.2",
}
"""Of the transformer."""
