"""Which files are of Stable Diffusion 1.5."""

from typing import Final

from catalog.families.recognition import BaseNames, UNet
from catalog.families.unet import BLOCKS, SD1_CONTEXT, SD2

SD15_MODEL: Final = "SD 1.5"
"""What its models and the base of its adapters are called."""
SD1_OR_2: Final = "SD 1.5/2"
"""Their blocks are the same; only the layers that read the text embeddings differ."""

_BLOCKS: Final = ("down_blocks_0_attentions_", "input_blocks_1_1_", "down_blocks_3_")
"""With `_` for every dot: blocks that SDXL has not got."""


def _owns(context: int, sizes: int) -> bool:
    # A narrower one is of the same architecture.
    return context == SD1_CONTEXT or (not sizes and 0 < context < SD1_CONTEXT)


def _adapter_base(names: str, foreign: bool) -> str:
    # Text embeddings of another width rule it out, whatever the names of the blocks.
    if foreign or not any(block in names for block in BLOCKS):
        return ""
    return SD1_OR_2 if any(mark in names for mark in _BLOCKS) else ""


RECOGNITION: Final = UNet(
    context=SD1_CONTEXT,
    owns=_owns,
    encoders=(("cond_stage_model.transformer.",), ("text_encoder.",), ("text_encoders.clip_l.",)),
    embeddings=(768,),
    adapter_base=_adapter_base,
    base_names=BaseNames(
        bases=(("stablediffusionv1", SD15_MODEL), ("sdv1", SD15_MODEL), ("sd1", SD15_MODEL)),
        checkpoints=(("v15pruned", SD15_MODEL),),
        alike=((SD1_OR_2, frozenset({SD15_MODEL, SD2})),),
    ),
)
