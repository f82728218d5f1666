"""Black Forest Labs' own names of the transformer's modules, in their files and many adapters'.

Beside what Chroma has as well (`families.flux`), these are its modulations: of them, one thing is
not as in diffusers, that the two halves of the last are the other way around.
"""

from typing import Final

from bot.engine.families.flux import ORIGINALS as SHARED
from bot.engine.patches.spelling import Originals, Share

ORIGINALS: Final[Originals] = {
    **SHARED,
    **{
        f"{theirs}_in.{side}_layer": f"time_text_embed.{ours}_embedder.linear_{number}"
        for theirs, ours in (("time", "timestep"), ("guidance", "guidance"), ("vector", "text"))
        for number, side in enumerate(("in", "out"), 1)
    },
    # Shift and scale there, scale and shift in diffusers.
    "final_layer.adaLN_modulation.1": (
        Share("norm_out.linear", 1, 2),
        Share("norm_out.linear", 0, 2),
    ),
    "double_blocks.{}.img_mod.lin": "transformer_blocks.{}.norm1.linear",
    "double_blocks.{}.txt_mod.lin": "transformer_blocks.{}.norm1_context.linear",
    "single_blocks.{}.modulation.lin": "single_transformer_blocks.{}.norm.linear",
}
