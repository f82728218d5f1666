"""The authors' names of the transformer's modules, in their files and many adapters'.

Queries, keys and values are one module there (Comfy-Org/ComfyUI comfy/ldm/lumina/model.py;
huggingface/diffusers src/diffusers/loaders/single_file_utils.py,
`convert_z_image_transformer_checkpoint_to_diffusers`).
"""

from typing import Final

from bot.engine.patches.spelling import Originals

_BLOCKS: Final = ("layers.{}.", "noise_refiner.{}.", "context_refiner.{}.")

ORIGINALS: Final[Originals] = {
    "x_embedder": "all_x_embedder.2-1",
    "final_layer.linear": "all_final_layer.2-1.linear",
    "final_layer.adaLN_modulation.1": "all_final_layer.2-1.adaLN_modulation.1",
    **{
        f"{block}attention.qkv": tuple(f"{block}attention.to_{each}" for each in "qkv")
        for block in _BLOCKS
    },
    **{f"{block}attention.out": f"{block}attention.to_out.0" for block in _BLOCKS},
    **{f"{block}attention.q_norm": f"{block}attention.norm_q" for block in _BLOCKS},
    **{f"{block}attention.k_norm": f"{block}attention.norm_k" for block in _BLOCKS},
}
